// windows-1252, which MySQL calls latin1: where it differs from ISO 8859-1. For the server, which decodes, and the SDK, which encodes.

/**
 * The characters of the bytes 0x80 to 0x9f. The five bytes without one stand for their C1 control, so nothing is lost.
 * By hand: TextDecoder of Node 20.20 decodes ISO 8859-1 instead.
 */
export const WINDOWS_1252_HIGH =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';
