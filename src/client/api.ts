// The types of every call of the API, made from its document. Not to be edited: npm run client-types.
/* biome-ignore-all format: made by a program */

export interface components {
    schemas: {
        readonly Content: {
            /** Format: int64 */
            readonly id: number;
            /** The body, as text in `encoding`. */
            readonly content: string;
            /** IPv4 address, or ipv6: see request.ip. */
            readonly ip: string;
            /** 1 = received by a webhook, 0 = posted by the user. */
            readonly api: number;
            readonly dt: string;
            /**
             * Format: int64
             * 0 = own content.
             */
            readonly wh_id: number;
            /** @enum {string} */
            readonly encoding: "utf-8" | "base64" | "windows-1252";
            readonly request: {
                readonly method: string;
                /** What followed the key: sub-path and raw query, as received. */
                readonly url: string;
                /** PUBLIC_URL and the raw target as received: what Twilio and Square sign. */
                readonly public_url: string;
                /** [name, value] in order, case and duplicates kept, one character per byte. */
                readonly headers: readonly (readonly string[])[];
                /** The full address of the sender. */
                readonly ip: string;
                /** Format: date-time */
                readonly received_at: string;
                /**
                 * What the signature check said; none: nothing was checked.
                 * @enum {string}
                 */
                readonly verified: "signed" | "token" | "none";
                readonly event_id: string | null;
                readonly event_type: string | null;
                /** Format: int64 */
                readonly duplicate_of: number | null;
                /** Format: int64 */
                readonly released_from: number | null;
            } | null;
        };
        readonly ContentPage: {
            readonly whcontent: readonly components["schemas"]["Content"][];
            /**
             * Format: int64
             * Pass it as the next `id`.
             */
            readonly next_id: number;
            /** Your `id` is ahead of every content: was the database restored? */
            readonly reset?: {
                /** Format: int64 */
                readonly max_id: number;
            } | undefined;
            /** Seconds for which a transaction of another application has held back newer contents. */
            readonly held_s?: number | undefined;
            readonly hint?: string | undefined;
        };
        readonly Refusal: {
            /** Format: int64 */
            readonly id: number;
            /** Format: int64 */
            readonly wh_id: number;
            readonly kind: string;
            /** What happened and what to do. */
            readonly reason: string;
            readonly near_miss: string | null;
            /** A link that you have to open yourself, to confirm a subscription. It is never fetched. */
            readonly link?: string | undefined;
            /** Format: int64 */
            readonly size: number | null;
            readonly request: {
                readonly method: string;
                /** What followed the key: sub-path and raw query, as received. */
                readonly url: string;
                /** PUBLIC_URL and the raw target as received: what Twilio and Square sign. */
                readonly public_url: string;
                /** [name, value] in order, case and duplicates kept, one character per byte. */
                readonly headers: readonly (readonly string[])[];
                /** The full address of the sender. */
                readonly ip: string;
                /** Format: date-time */
                readonly received_at: string;
            };
            /** Format: int64 */
            readonly released_as: number | null;
        };
        readonly ReleaseResult: {
            readonly released: readonly {
                /** Format: int64 */
                readonly id: number;
                /** Format: int64 */
                readonly content_id: number;
            }[];
            readonly kept: readonly {
                /** Format: int64 */
                readonly id: number;
                readonly reason: string;
            }[];
            /** More refusals are left: pass it as `id`. */
            readonly next_id?: number | undefined;
        };
        readonly Webhook: {
            /** Format: int64 */
            readonly wh_id: number;
            /** The public URL that a provider POSTs to. */
            readonly wh_url: string;
            readonly wh_name: string;
            /** 1 = enabled. */
            readonly status: number;
            /** How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked. */
            readonly preset: string | null;
            readonly verify: components["schemas"]["Verify"] | null;
            /** Without their values: those are never told again. */
            readonly secrets: readonly {
                readonly id: string;
                /** Its last four characters; empty when it is short. */
                readonly last4: string;
                /** Format: date-time */
                readonly expires_at: string | null;
            }[];
            readonly dedupe: components["schemas"]["Dedupe"] | null;
            /**
             * keep: a request that fails its check is kept as a refusal, which can be released. Default keep.
             * @enum {string}
             */
            readonly on_reject: "keep" | "drop";
            readonly response: {
                /** Default 200. */
                readonly status: number;
                /**
                 * Default text/plain.
                 * @enum {string}
                 */
                readonly content_type: "text/plain" | "text/xml" | "application/xml" | "application/json";
                /** Default empty: some providers show a text to their end user. */
                readonly body: string;
            };
            /**
             * Format: int64
             * Larger bodies are refused with 413. Default: MAX_BODY_BYTES.
             */
            readonly max_body_bytes: number | null;
            /** Other methods are refused with 405. Default: every method. */
            readonly allow_methods: readonly string[] | null;
            /** Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders. */
            readonly allow_networks: readonly string[] | null;
            /** Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none. */
            readonly allow_origins: readonly string[] | null;
            /** Age in days at which contents are removed; 0 = never. Default: RETENTION_DAYS. */
            readonly retention_days: number | null;
            /** false: senders are answered 503 with Retry-After and try again. Default true. */
            readonly enabled: boolean;
            /** Format: date-time */
            readonly created_at: string;
            /** What to do at the provider, with this URL. */
            readonly steps?: readonly string[] | undefined;
            readonly hint?: string | undefined;
        };
        readonly Settings: {
            /** The answer to a sender once its request is committed. */
            readonly response?: {
                /** Default 200. */
                readonly status?: number | undefined;
                /**
                 * Default text/plain.
                 * @enum {string}
                 */
                readonly content_type?: ("text/plain" | "text/xml" | "application/xml" | "application/json") | undefined;
                /** Default empty: some providers show a text to their end user. */
                readonly body?: string | undefined;
            } | undefined;
            /**
             * Format: int64
             * Larger bodies are refused with 413. Default: MAX_BODY_BYTES.
             */
            readonly max_body_bytes?: number | undefined;
            /** Other methods are refused with 405. Default: every method. */
            readonly allow_methods?: readonly string[] | undefined;
            /** Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders. */
            readonly allow_networks?: readonly string[] | undefined;
            /** Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none. */
            readonly allow_origins?: readonly string[] | undefined;
            /** How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked. */
            readonly preset?: string | undefined;
            readonly verify?: components["schemas"]["Verify"] | undefined;
            readonly dedupe?: components["schemas"]["Dedupe"] | undefined;
            /**
             * keep: a request that fails its check is kept as a refusal, which can be released. Default keep.
             * @enum {string}
             */
            readonly on_reject?: ("keep" | "drop") | undefined;
            /** Age in days at which contents are removed; 0 = never. Default: RETENTION_DAYS. */
            readonly retention_days?: number | undefined;
            /** false: senders are answered 503 with Retry-After and try again. Default true. */
            readonly enabled?: boolean | undefined;
        };
        /** How requests are verified. Beside a preset: what differs from it. */
        readonly Verify: {
            /**
             * hmac: a keyed digest; hash: a plain digest over a text that holds the secret; asymmetric: a signature and a public key; jwt: a JSON Web Token; shared-secret: the secret itself is sent; none: nothing is verified.
             * @enum {string}
             */
            readonly scheme?: ("hmac" | "hash" | "asymmetric" | "jwt" | "shared-secret" | "none") | undefined;
            /**
             * Default sha256; with `asymmetric`, and with `jwt` (hs256 to ps256), there is no default. A token that names another algorithm is refused.
             * @enum {string}
             */
            readonly algorithm?: ("sha256" | "sha1" | "sha512" | "ed25519" | "ecdsa-p256" | "rsa-sha256" | "rsa-sha1" | "hs256" | "hs384" | "hs512" | "rs256" | "es256" | "ps256") | undefined;
            /**
             * How the signature is written. Default hex.
             * @enum {string}
             */
            readonly encoding?: ("hex" | "base64" | "base64url") | undefined;
            /**
             * How the secret is written. Default utf8: its characters are the key.
             * @enum {string}
             */
            readonly key_encoding?: ("utf8" | "base64" | "hex") | undefined;
            /** What to cut off the secret first, if it is there: `whsec_`. */
            readonly key_prefix?: string | undefined;
            /**
             * The key is this hash of the secret, as at Braintree. Default: the key is the secret.
             * @enum {string}
             */
            readonly key_hash?: ("sha1" | "sha256") | undefined;
            readonly signature?: {
                /** Where the signature stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                readonly from?: string | undefined;
                /**
                 * Of several headers in `from`: first: the first that the request has, and `timestamp` and `id` of the same family; all: every one of the first 20, any may match. Default first.
                 * @enum {string}
                 */
                readonly headers?: ("first" | "all") | undefined;
                /** What stands between several signatures or fields: `,` for `t=1,v1=ab`. */
                readonly item_separator?: string | undefined;
                /** What stands between the name of a field and its value: `=` for `v1=ab`. */
                readonly field_separator?: string | undefined;
                /** The field with the signature: `v1`, `sha256`. Several may be there, any may match. `*`: a field of any name, as at Braintree. */
                readonly field?: string | undefined;
            } | undefined;
            /** With the scheme jwt. The token stands in `signature.from` (default `header:Authorization`), with or without `Bearer `. The secret is a shared key, a public key, or a set of keys as JSON (JWKS). `exp` and `nbf` may be off by `tolerance_seconds`. */
            readonly jwt?: {
                /** What the claim `iss` must be. Default: anything. */
                readonly issuer?: string | undefined;
                /** What the claim `aud` must be, or have in its list. Default: anything. */
                readonly audience?: string | undefined;
                /** The claim that must be the SHA-256 of the body, in hex or base64: `request_body_sha256`. Without it the token says nothing of the body: then `covers_body` must be false. */
                readonly body_claim?: string | undefined;
                /** The claim with the time of the signature, in seconds: `iat`. It may be off by `tolerance_seconds` in both directions. Default: none, and only `exp` and `nbf` count. */
                readonly time_claim?: string | undefined;
                /** What other claims must be: `{"email":"push@project.iam.gserviceaccount.com"}`. A true or false is written as a text. An empty text is yet to be said: until then requests are kept and not accepted. */
                readonly claims?: {
                    readonly [key: string]: string;
                } | undefined;
            } | undefined;
            readonly timestamp?: {
                /** Where the time stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, or `field:t` beside the signature. */
                readonly from?: string | undefined;
                /**
                 * Of a number. Default s.
                 * @enum {string}
                 */
                readonly unit?: ("s" | "ms") | undefined;
                /**
                 * Default unix.
                 * @enum {string}
                 */
                readonly format?: ("unix" | "iso8601" | "http-date") | undefined;
            } | undefined;
            /** How far the time may lie in the past or in the future. 0: the time is not checked. Default 300. */
            readonly tolerance_seconds?: number | undefined;
            /** What is signed: text with `{body}`, `{crc32}` (of the body, in decimal), `{timestamp}`, `{id}`, `{method}`, `{url}`, `{params}`, `{header:x}`, `{json:/pointer}`, `{form:x}`, `{query:x}`, and with the scheme hash (or the preset paypal) `{secret}`. `{json:/a?}` is empty where nothing stands, `{json:/a?x}` is x. `{[id:]query:id[;]?}` is `id:`, the value and `;`, or nothing; `{lower:query:id}` is in lower case. Default `{body}`. */
            readonly signed_string?: string | undefined;
            /**
             * raw: `{body}` is the bytes as they came; decoded: without their Content-Encoding (gzip, deflate, br), up to 64 MiB. What is stored is always as it came. Default raw.
             * @enum {string}
             */
            readonly body?: ("raw" | "decoded") | undefined;
            /** false: the signature does not cover the body, and you know it. */
            readonly covers_body?: boolean | undefined;
            /** Where `{id}` stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
            readonly id?: string | undefined;
            /**
             * as-is: `{url}` is PUBLIC_URL and the target as received. hubspot: with twelve of its percent codes decoded, and as received. twilio: with and without a port, raw and normalised.
             * @enum {string}
             */
            readonly url?: ("as-is" | "hubspot" | "twilio") | undefined;
            /** With shared-secret, and with the preset sns: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, `bearer`, or `basic` (the secret is `user:password`). In a body path `*` means each element. */
            readonly secret_from?: string | undefined;
            /** The verify token you typed in at the provider (Meta): only a handshake that knows it is answered. */
            readonly token?: string | undefined;
            /** Requests that are answered and not stored as a content. */
            readonly handshake?: readonly {
                /** Only requests of this method. */
                readonly method?: string | undefined;
                /** A request is a handshake when all of these hold. */
                readonly when?: readonly {
                    /** `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                    readonly from: string;
                    /** What must stand there. Left out: anything. */
                    readonly equals?: string | undefined;
                    /** true: nothing must stand there. */
                    readonly absent?: boolean | undefined;
                }[] | undefined;
                /** Where `verify.token` must stand. */
                readonly token_from?: string | undefined;
                /** Where the text stands that has to be sent back. */
                readonly challenge_from?: string | undefined;
                /** Check the signature before it is answered. Default true. With `{hmac}` it may be false for a GET with its challenge in the query: only a word of at most 128 letters and digits is answered then, and never accepted as an event. */
                readonly signed?: boolean | undefined;
                readonly answer: {
                    /** Default 200. */
                    readonly status?: number | undefined;
                    /**
                     * Default text/plain.
                     * @enum {string}
                     */
                    readonly content_type?: ("text/plain" | "application/json") | undefined;
                    /** Headers of the answer, by name: `X-…` or `WebHook-…`, but none that a server or a browser obeys, such as X-Accel-Redirect. Each value is plain ASCII with at most one placeholder, as in the body. */
                    readonly headers?: {
                        readonly [key: string]: string;
                    } | undefined;
                    /** `{challenge}` stands for the challenge, `{hmac}` and `{hmac_base64}` for its HMAC under the secret. */
                    readonly body: string;
                };
            }[] | undefined;
            /** Where the type of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
            readonly event_type?: string | undefined;
        };
        /** How the same event is known again when it is sent twice. It is flagged, never dropped. */
        readonly Dedupe: {
            /** Where the id of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, or `sha256` of the body. Several are joined with `/`. Default: what the preset says. */
            readonly from?: (string | readonly string[]) | undefined;
            /** How long an id is remembered. */
            readonly window_seconds?: number | undefined;
        };
        readonly Consumer: {
            readonly name: string;
            /** The webhooks that it reads; 0 = own content. Default null: all your webhooks and own content. */
            readonly whid: readonly number[] | null;
            /** Seconds that a worker has before its contents are handed out again. Default 30. */
            readonly lease_seconds: number;
            /** A content that was handed out this many times without an ack becomes a dead letter. Default 10. */
            readonly max_attempts: number;
            /** One lease at a time; nothing is handed out before what came earlier is acked or dead. Default false. */
            readonly ordered: boolean;
            /**
             * skip: an event that a provider sent twice is handed out once. Default deliver.
             * @enum {string}
             */
            readonly duplicates: "deliver" | "skip";
            /** Format: date-time */
            readonly created_at: string;
            /**
             * Format: date-time
             * Time of the last pull, to the hour; null before the first.
             */
            readonly pulled_at: string | null;
            /**
             * Format: int64
             * The content that was handed out last for the first time; 0 = none.
             */
            readonly last_id: number;
            /** Contents that wait to be handed out: exact up to 1000. */
            readonly backlog: number;
            /** There are more than `backlog` says. */
            readonly backlog_more: boolean;
            /** Age of the oldest content that waits, in seconds; null when none waits. */
            readonly oldest_age_s: number | null;
            /** Contents that workers have in hand now. */
            readonly in_flight: number;
            /** Dead letters. */
            readonly dead: number;
            /** Ids of contents that retention removed before they were read. Told until something after them is acked. */
            readonly gap?: {
                /** Format: int64 */
                readonly from: number;
                /** Format: int64 */
                readonly to: number;
            } | undefined;
        };
        readonly Trace: {
            /** Format: int64 */
            readonly id: number;
            /** Format: int64 */
            readonly wh_id: number;
            /**
             * Format: date-time
             * Null when another application stored it.
             */
            readonly received_at: string | null;
            /**
             * Format: date-time
             * When it became visible to consumers; null: not yet.
             */
            readonly seen_at: string | null;
            /** What the signature check said; null when another application stored it. */
            readonly verified: string | null;
            readonly event_id: string | null;
            /** Format: int64 */
            readonly duplicate_of: number | null;
            /** Later contents that are the same event. */
            readonly duplicates: readonly number[];
            /** Every consumer that reads this webhook. */
            readonly consumers: readonly {
                readonly name: string;
                /**
                 * acked, or passed while the consumer did not read this webhook: acks are not kept. skipped: a duplicate, and the consumer skips those. behind: before the position where the consumer began or to which it was moved.
                 * @enum {string}
                 */
                readonly state: "waiting" | "leased" | "acked" | "dead" | "skipped" | "behind";
                /** How often it was handed out. */
                readonly attempt?: number | undefined;
                /** Format: date-time */
                readonly lease_until?: string | undefined;
                /**
                 * Format: date-time
                 * It is handed out again then.
                 */
                readonly due_at?: string | undefined;
                /** Format: date-time */
                readonly dead_at?: string | undefined;
                readonly reason?: string | undefined;
            }[];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Content = components['schemas']['Content'];
export type ContentPage = components['schemas']['ContentPage'];
export type Refusal = components['schemas']['Refusal'];
export type ReleaseResult = components['schemas']['ReleaseResult'];
export type Webhook = components['schemas']['Webhook'];
export type Settings = components['schemas']['Settings'];
export type Verify = components['schemas']['Verify'];
export type Dedupe = components['schemas']['Dedupe'];
export type Consumer = components['schemas']['Consumer'];
export type Trace = components['schemas']['Trace'];
export interface operations {
    readonly "GET /": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** They are right */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly username: string;
                        readonly hint?: string | undefined;
                    };
                };
            };
        };
    };
    readonly "GET /webhooks": {
        readonly parameters: {
            readonly query?: {
                /** Start with this webhook. Default 0. */
                readonly id?: number;
                /** At most 1,000, which is the default. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Your webhooks by id */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly webhooks: readonly {
                            /** Format: int64 */
                            readonly wh_id: number;
                            /** The public URL that a provider POSTs to. */
                            readonly wh_url: string;
                            readonly wh_name: string;
                            /** 1 = enabled. */
                            readonly status: number;
                        }[];
                        /**
                         * Format: int64
                         * There are more webhooks: pass it as `id`.
                         */
                        readonly next_id?: number | undefined;
                        readonly hint?: string | undefined;
                    };
                };
            };
        };
    };
    readonly "POST /webhooks": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** At most 45 bytes of UTF-8. */
                    readonly wh_name: string;
                    /** The answer to a sender once its request is committed. */
                    readonly response?: {
                        /** Default 200. */
                        readonly status?: number | undefined;
                        /**
                         * Default text/plain.
                         * @enum {string}
                         */
                        readonly content_type?: ("text/plain" | "text/xml" | "application/xml" | "application/json") | undefined;
                        /** Default empty: some providers show a text to their end user. */
                        readonly body?: string | undefined;
                    } | undefined;
                    /**
                     * Format: int64
                     * Larger bodies are refused with 413. Default: MAX_BODY_BYTES.
                     */
                    readonly max_body_bytes?: number | undefined;
                    /** Other methods are refused with 405. Default: every method. */
                    readonly allow_methods?: readonly string[] | undefined;
                    /** Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders. */
                    readonly allow_networks?: readonly string[] | undefined;
                    /** Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none. */
                    readonly allow_origins?: readonly string[] | undefined;
                    /** How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked. */
                    readonly preset?: string | undefined;
                    readonly verify?: components["schemas"]["Verify"] | undefined;
                    readonly dedupe?: components["schemas"]["Dedupe"] | undefined;
                    /**
                     * keep: a request that fails its check is kept as a refusal, which can be released. Default keep.
                     * @enum {string}
                     */
                    readonly on_reject?: ("keep" | "drop") | undefined;
                    /** Age in days at which contents are removed; 0 = never. Default: RETENTION_DAYS. */
                    readonly retention_days?: number | undefined;
                    /** false: senders are answered 503 with Retry-After and try again. Default true. */
                    readonly enabled?: boolean | undefined;
                    /** Any of them may have signed. A public key, a token of your choice or a shared key is a secret too. */
                    readonly secrets?: readonly (string | {
                        readonly value: string;
                        /**
                         * Format: date-time
                         * It counts until then. Default: for ever.
                         */
                        readonly expires_at?: (string | null) | undefined;
                    })[] | undefined;
                };
            };
        };
        readonly responses: {
            /** Made; `wh_url` receives from now on */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    readonly "GET /webhooks/{wh_id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly wh_id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The webhook */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    readonly "DELETE /webhooks/{wh_id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly wh_id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Deleted */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly "PATCH /webhooks/{wh_id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly wh_id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    readonly response?: ({
                        /** Default 200. */
                        readonly status?: (number | null) | undefined;
                        /**
                         * Default text/plain.
                         * @enum {string|null}
                         */
                        readonly content_type?: ("text/plain" | "text/xml" | "application/xml" | "application/json" | null) | undefined;
                        /** Default empty: some providers show a text to their end user. */
                        readonly body?: (string | null) | undefined;
                    } | null) | undefined;
                    /**
                     * Format: int64
                     * Larger bodies are refused with 413. Default: MAX_BODY_BYTES.
                     */
                    readonly max_body_bytes?: (number | null) | undefined;
                    /** Other methods are refused with 405. Default: every method. */
                    readonly allow_methods?: (readonly string[] | null) | undefined;
                    /** Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders. */
                    readonly allow_networks?: (readonly string[] | null) | undefined;
                    /** Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none. */
                    readonly allow_origins?: (readonly string[] | null) | undefined;
                    /** How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked. */
                    readonly preset?: (string | null) | undefined;
                    readonly verify?: ({
                        /**
                         * hmac: a keyed digest; hash: a plain digest over a text that holds the secret; asymmetric: a signature and a public key; jwt: a JSON Web Token; shared-secret: the secret itself is sent; none: nothing is verified.
                         * @enum {string|null}
                         */
                        readonly scheme?: ("hmac" | "hash" | "asymmetric" | "jwt" | "shared-secret" | "none" | null) | undefined;
                        /**
                         * Default sha256; with `asymmetric`, and with `jwt` (hs256 to ps256), there is no default. A token that names another algorithm is refused.
                         * @enum {string|null}
                         */
                        readonly algorithm?: ("sha256" | "sha1" | "sha512" | "ed25519" | "ecdsa-p256" | "rsa-sha256" | "rsa-sha1" | "hs256" | "hs384" | "hs512" | "rs256" | "es256" | "ps256" | null) | undefined;
                        /**
                         * How the signature is written. Default hex.
                         * @enum {string|null}
                         */
                        readonly encoding?: ("hex" | "base64" | "base64url" | null) | undefined;
                        /**
                         * How the secret is written. Default utf8: its characters are the key.
                         * @enum {string|null}
                         */
                        readonly key_encoding?: ("utf8" | "base64" | "hex" | null) | undefined;
                        /** What to cut off the secret first, if it is there: `whsec_`. */
                        readonly key_prefix?: (string | null) | undefined;
                        /**
                         * The key is this hash of the secret, as at Braintree. Default: the key is the secret.
                         * @enum {string|null}
                         */
                        readonly key_hash?: ("sha1" | "sha256" | null) | undefined;
                        readonly signature?: ({
                            /** Where the signature stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                            readonly from?: string | undefined;
                            /**
                             * Of several headers in `from`: first: the first that the request has, and `timestamp` and `id` of the same family; all: every one of the first 20, any may match. Default first.
                             * @enum {string}
                             */
                            readonly headers?: ("first" | "all") | undefined;
                            /** What stands between several signatures or fields: `,` for `t=1,v1=ab`. */
                            readonly item_separator?: string | undefined;
                            /** What stands between the name of a field and its value: `=` for `v1=ab`. */
                            readonly field_separator?: string | undefined;
                            /** The field with the signature: `v1`, `sha256`. Several may be there, any may match. `*`: a field of any name, as at Braintree. */
                            readonly field?: string | undefined;
                        } | null) | undefined;
                        readonly jwt?: ({
                            /** What the claim `iss` must be. Default: anything. */
                            readonly issuer?: string | undefined;
                            /** What the claim `aud` must be, or have in its list. Default: anything. */
                            readonly audience?: string | undefined;
                            /** The claim that must be the SHA-256 of the body, in hex or base64: `request_body_sha256`. Without it the token says nothing of the body: then `covers_body` must be false. */
                            readonly body_claim?: string | undefined;
                            /** The claim with the time of the signature, in seconds: `iat`. It may be off by `tolerance_seconds` in both directions. Default: none, and only `exp` and `nbf` count. */
                            readonly time_claim?: string | undefined;
                            /** What other claims must be: `{"email":"push@project.iam.gserviceaccount.com"}`. A true or false is written as a text. An empty text is yet to be said: until then requests are kept and not accepted. */
                            readonly claims?: {
                                readonly [key: string]: string;
                            } | undefined;
                        } | null) | undefined;
                        readonly timestamp?: ({
                            /** Where the time stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, or `field:t` beside the signature. */
                            readonly from?: string | undefined;
                            /**
                             * Of a number. Default s.
                             * @enum {string}
                             */
                            readonly unit?: ("s" | "ms") | undefined;
                            /**
                             * Default unix.
                             * @enum {string}
                             */
                            readonly format?: ("unix" | "iso8601" | "http-date") | undefined;
                        } | null) | undefined;
                        /** How far the time may lie in the past or in the future. 0: the time is not checked. Default 300. */
                        readonly tolerance_seconds?: (number | null) | undefined;
                        /** What is signed: text with `{body}`, `{crc32}` (of the body, in decimal), `{timestamp}`, `{id}`, `{method}`, `{url}`, `{params}`, `{header:x}`, `{json:/pointer}`, `{form:x}`, `{query:x}`, and with the scheme hash (or the preset paypal) `{secret}`. `{json:/a?}` is empty where nothing stands, `{json:/a?x}` is x. `{[id:]query:id[;]?}` is `id:`, the value and `;`, or nothing; `{lower:query:id}` is in lower case. Default `{body}`. */
                        readonly signed_string?: (string | null) | undefined;
                        /**
                         * raw: `{body}` is the bytes as they came; decoded: without their Content-Encoding (gzip, deflate, br), up to 64 MiB. What is stored is always as it came. Default raw.
                         * @enum {string|null}
                         */
                        readonly body?: ("raw" | "decoded" | null) | undefined;
                        /** false: the signature does not cover the body, and you know it. */
                        readonly covers_body?: (boolean | null) | undefined;
                        /** Where `{id}` stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                        readonly id?: (string | null) | undefined;
                        /**
                         * as-is: `{url}` is PUBLIC_URL and the target as received. hubspot: with twelve of its percent codes decoded, and as received. twilio: with and without a port, raw and normalised.
                         * @enum {string|null}
                         */
                        readonly url?: ("as-is" | "hubspot" | "twilio" | null) | undefined;
                        /** With shared-secret, and with the preset sns: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, `bearer`, or `basic` (the secret is `user:password`). In a body path `*` means each element. */
                        readonly secret_from?: (string | null) | undefined;
                        /** The verify token you typed in at the provider (Meta): only a handshake that knows it is answered. */
                        readonly token?: (string | null) | undefined;
                        /** Requests that are answered and not stored as a content. */
                        readonly handshake?: (readonly {
                            /** Only requests of this method. */
                            readonly method?: string | undefined;
                            /** A request is a handshake when all of these hold. */
                            readonly when?: readonly {
                                /** `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                                readonly from: string;
                                /** What must stand there. Left out: anything. */
                                readonly equals?: string | undefined;
                                /** true: nothing must stand there. */
                                readonly absent?: boolean | undefined;
                            }[] | undefined;
                            /** Where `verify.token` must stand. */
                            readonly token_from?: string | undefined;
                            /** Where the text stands that has to be sent back. */
                            readonly challenge_from?: string | undefined;
                            /** Check the signature before it is answered. Default true. With `{hmac}` it may be false for a GET with its challenge in the query: only a word of at most 128 letters and digits is answered then, and never accepted as an event. */
                            readonly signed?: boolean | undefined;
                            readonly answer: {
                                /** Default 200. */
                                readonly status?: number | undefined;
                                /**
                                 * Default text/plain.
                                 * @enum {string}
                                 */
                                readonly content_type?: ("text/plain" | "application/json") | undefined;
                                /** Headers of the answer, by name: `X-…` or `WebHook-…`, but none that a server or a browser obeys, such as X-Accel-Redirect. Each value is plain ASCII with at most one placeholder, as in the body. */
                                readonly headers?: {
                                    readonly [key: string]: string;
                                } | undefined;
                                /** `{challenge}` stands for the challenge, `{hmac}` and `{hmac_base64}` for its HMAC under the secret. */
                                readonly body: string;
                            };
                        }[] | null) | undefined;
                        /** Where the type of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
                        readonly event_type?: (string | null) | undefined;
                    } | null) | undefined;
                    readonly dedupe?: ({
                        /** Where the id of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, or `sha256` of the body. Several are joined with `/`. Default: what the preset says. */
                        readonly from?: (string | readonly string[] | null) | undefined;
                        /** How long an id is remembered. */
                        readonly window_seconds?: (number | null) | undefined;
                    } | null) | undefined;
                    /**
                     * keep: a request that fails its check is kept as a refusal, which can be released. Default keep.
                     * @enum {string|null}
                     */
                    readonly on_reject?: ("keep" | "drop" | null) | undefined;
                    /** Age in days at which contents are removed; 0 = never. Default: RETENTION_DAYS. */
                    readonly retention_days?: (number | null) | undefined;
                    /** false: senders are answered 503 with Retry-After and try again. Default true. */
                    readonly enabled?: (boolean | null) | undefined;
                    /** At most 45 bytes of UTF-8. */
                    readonly wh_name?: string | undefined;
                    /** Any of them may have signed. A public key, a token of your choice or a shared key is a secret too. */
                    readonly secrets?: (readonly (string | {
                        readonly value: string;
                        /**
                         * Format: date-time
                         * It counts until then. Default: for ever.
                         */
                        readonly expires_at?: (string | null) | undefined;
                    } | {
                        readonly id: string;
                        /**
                         * Format: date-time
                         * It counts until then. Default: for ever.
                         */
                        readonly expires_at?: (string | null) | undefined;
                    })[] | null) | undefined;
                };
            };
        };
        readonly responses: {
            /** As it is now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    readonly "POST /webhooks/{wh_id}/rotate": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly wh_id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** How long the old URL goes on. Default 86400. */
                    readonly grace_seconds?: number | undefined;
                };
            };
        };
        readonly responses: {
            /** With its new URL */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Webhook"];
                };
            };
        };
    };
    readonly "POST /webhooks/{wh_id}/test": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly wh_id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** The type of the event, as the provider writes it. Default: a usual one. */
                    readonly type?: string | undefined;
                    /** The id of the event; sent twice, the second is flagged as a duplicate. Default: a new one. */
                    readonly id?: string | undefined;
                };
            };
        };
        readonly responses: {
            /** What became of it */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** What the sender of a request like this gets. */
                        readonly status: number;
                        /** The text of that answer; of a problem its `detail`. */
                        readonly answer: string;
                        /**
                         * The verdict on what was stored.
                         * @enum {string|null}
                         */
                        readonly verified: "signed" | "token" | "none" | null;
                        /** The content that it has become; null: nothing was stored. */
                        readonly content_id: number | null;
                        readonly event_id: string | null;
                        readonly event_type: string | null;
                        /** What happened, in words. */
                        readonly detail: string;
                    };
                };
            };
        };
    };
    readonly "GET /whcontent": {
        readonly parameters: {
            readonly query?: {
                /** Start here: contents with this id or a higher one. `latest`: after the newest. Default 0. */
                readonly id?: number | "latest";
                /** Of one webhook; 0 = own content, `all` = every webhook. Default 0. */
                readonly whid?: number | "all";
                /** At most 100; more is clamped. Default 20. */
                readonly limit?: number;
                /** `desc`: newest first, ids up to `id`. */
                readonly order?: "asc" | "desc";
                /** Only the event with this id of the provider. */
                readonly event_id?: string;
                /** Only events of this type. */
                readonly event_type?: string;
                /** Only contents with this result of the signature check. */
                readonly verified?: "signed" | "token" | "none";
                /** Only what became visible then or later. */
                readonly since?: string;
                /** Only contents with this text in their body, letter for letter. A call looks at 10,000 contents, 64 MiB or one second at most, and may find none: `next_id` goes on. */
                readonly q?: string;
                /** Seconds to wait for a content when there is none; at most 55. Default 0. */
                readonly wait?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** A page of contents */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ContentPage"];
                };
            };
        };
    };
    readonly "POST /whcontent": {
        readonly parameters: {
            readonly query?: {
                /** The content, instead of a body. */
                readonly content?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    readonly content: string;
                };
                readonly "application/octet-stream": unknown;
            };
        };
        readonly responses: {
            /** Stored */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** @enum {string} */
                        readonly result: "ok";
                        /** Format: int64 */
                        readonly id: number;
                        readonly hint?: string | undefined;
                    };
                };
            };
        };
    };
    readonly "GET /whcontent/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The content */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Format: int64 */
                        readonly id: number;
                        /** The body, as text in `encoding`. */
                        readonly content: string;
                        /** IPv4 address, or ipv6: see request.ip. */
                        readonly ip: string;
                        /** 1 = received by a webhook, 0 = posted by the user. */
                        readonly api: number;
                        readonly dt: string;
                        /**
                         * Format: int64
                         * 0 = own content.
                         */
                        readonly wh_id: number;
                        /** @enum {string} */
                        readonly encoding: "utf-8" | "base64" | "windows-1252";
                        readonly request: {
                            readonly method: string;
                            /** What followed the key: sub-path and raw query, as received. */
                            readonly url: string;
                            /** PUBLIC_URL and the raw target as received: what Twilio and Square sign. */
                            readonly public_url: string;
                            /** [name, value] in order, case and duplicates kept, one character per byte. */
                            readonly headers: readonly (readonly string[])[];
                            /** The full address of the sender. */
                            readonly ip: string;
                            /** Format: date-time */
                            readonly received_at: string;
                            /**
                             * What the signature check said; none: nothing was checked.
                             * @enum {string}
                             */
                            readonly verified: "signed" | "token" | "none";
                            readonly event_id: string | null;
                            readonly event_type: string | null;
                            /** Format: int64 */
                            readonly duplicate_of: number | null;
                            /** Format: int64 */
                            readonly released_from: number | null;
                        } | null;
                        readonly hint?: string | undefined;
                    };
                };
            };
        };
    };
    readonly "DELETE /whcontent/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Deleted */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly "GET /whcontent/{id}/raw": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The bytes as they were received */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
        };
    };
    readonly "GET /whcontent/{id}/trace": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Its life so far */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Trace"];
                };
            };
        };
    };
    readonly "GET /activity": {
        readonly parameters: {
            readonly query?: {
                /** How far back. Default 60. */
                readonly minutes?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The counts */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly webhooks: readonly {
                            /** Format: int64 */
                            readonly wh_id: number;
                            readonly total: number;
                            /** Oldest first. */
                            readonly minutes: readonly number[];
                        }[];
                        /** Format: date-time */
                        readonly now: string;
                        /** Only the newest 100,000 contents of that time were counted. */
                        readonly more: boolean;
                    };
                };
            };
        };
    };
    readonly "GET /consumers": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Your consumers by name */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly consumers: readonly components["schemas"]["Consumer"][];
                    };
                };
            };
        };
    };
    readonly "GET /consumers/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The consumer */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Consumer"];
                };
            };
        };
    };
    readonly "PUT /consumers/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** The webhooks that it reads; 0 = own content. Default null: all your webhooks and own content. */
                    readonly whid?: (readonly number[] | null) | undefined;
                    /** Seconds that a worker has before its contents are handed out again. Default 30. */
                    readonly lease_seconds?: number | undefined;
                    /** A content that was handed out this many times without an ack becomes a dead letter. Default 10. */
                    readonly max_attempts?: number | undefined;
                    /** One lease at a time; nothing is handed out before what came earlier is acked or dead. Default false. */
                    readonly ordered?: boolean | undefined;
                    /**
                     * skip: an event that a provider sent twice is handed out once. Default deliver.
                     * @enum {string}
                     */
                    readonly duplicates?: ("deliver" | "skip") | undefined;
                    /** `earliest`, `latest`, `{"id": 27}` (contents with this id or a higher one) or `{"time": "2026-11-22T10:00:00Z"}` (contents that came then or later). Counts for a new consumer only. If it is left out, a new consumer begins at the earliest when no more than 1,000 contents wait; else the call answers 409 `start-needed`. */
                    readonly start?: (("earliest" | "latest") | {
                        /** Format: int64 */
                        readonly id: number;
                    } | {
                        /** Format: date-time */
                        readonly time: string;
                    }) | undefined;
                };
            };
        };
        readonly responses: {
            /** Changed */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Consumer"];
                };
            };
            /** Made */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Consumer"];
                };
            };
        };
    };
    readonly "DELETE /consumers/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Deleted */
            readonly 204: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    readonly "POST /consumers/{name}/pull": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** At most 500; more is clamped. Default 20. */
                    readonly limit?: number | undefined;
                    /** Seconds to wait for a content when there is none; at most 55. Default 0. */
                    readonly wait?: number | undefined;
                    /** Seconds that a worker has before its contents are handed out again. Default 30. */
                    readonly lease_seconds?: number | undefined;
                    /** `earliest`, `latest`, `{"id": 27}` (contents with this id or a higher one) or `{"time": "2026-11-22T10:00:00Z"}` (contents that came then or later). Counts for a new consumer only. If it is left out, a new consumer begins at the earliest when no more than 1,000 contents wait; else the call answers 409 `start-needed`. */
                    readonly start?: (("earliest" | "latest") | {
                        /** Format: int64 */
                        readonly id: number;
                    } | {
                        /** Format: date-time */
                        readonly time: string;
                    }) | undefined;
                    /** What to ack first, whatever the pull brings: a lease, or `{lease, ids}`. */
                    readonly ack?: (string | {
                        /** The `lease` of a pull. */
                        readonly lease: string;
                        /** Only these contents. Default: all of the lease. */
                        readonly ids?: readonly number[] | undefined;
                    }) | undefined;
                };
            };
        };
        readonly responses: {
            /** What there is; `items` is empty when there is nothing */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ack with it. Null when there is no item. */
                        readonly lease: string | null;
                        readonly items: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** The body, as text in `encoding`. */
                            readonly content: string;
                            /** IPv4 address, or ipv6: see request.ip. */
                            readonly ip: string;
                            /** 1 = received by a webhook, 0 = posted by the user. */
                            readonly api: number;
                            readonly dt: string;
                            /**
                             * Format: int64
                             * 0 = own content.
                             */
                            readonly wh_id: number;
                            /** @enum {string} */
                            readonly encoding: "utf-8" | "base64" | "windows-1252";
                            readonly request: {
                                readonly method: string;
                                /** What followed the key: sub-path and raw query, as received. */
                                readonly url: string;
                                /** PUBLIC_URL and the raw target as received: what Twilio and Square sign. */
                                readonly public_url: string;
                                /** [name, value] in order, case and duplicates kept, one character per byte. */
                                readonly headers: readonly (readonly string[])[];
                                /** The full address of the sender. */
                                readonly ip: string;
                                /** Format: date-time */
                                readonly received_at: string;
                                /**
                                 * What the signature check said; none: nothing was checked.
                                 * @enum {string}
                                 */
                                readonly verified: "signed" | "token" | "none";
                                readonly event_id: string | null;
                                readonly event_type: string | null;
                                /** Format: int64 */
                                readonly duplicate_of: number | null;
                                /** Format: int64 */
                                readonly released_from: number | null;
                            } | null;
                            /** Which hand-out this is: 1 = the first. */
                            readonly attempt: number;
                            /** Format: date-time */
                            readonly lease_until: string;
                        }[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                        /** Contents that wait to be handed out: exact up to 1000. */
                        readonly backlog: number;
                        /** There are more than `backlog` says. */
                        readonly backlog_more: boolean;
                        /** Age of the oldest content that waits, in seconds; null when none waits. */
                        readonly oldest_age_s: number | null;
                        /** Contents that workers have in hand now. */
                        readonly in_flight: number;
                        /** Dead letters. */
                        readonly dead: number;
                        /** When the next pull makes sense, if you do not use `wait`. */
                        readonly poll_after_ms: number;
                        /** Ids of contents that retention removed before they were read. Told until something after them is acked. */
                        readonly gap?: {
                            /** Format: int64 */
                            readonly from: number;
                            /** Format: int64 */
                            readonly to: number;
                        } | undefined;
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/ack": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** The `lease` of a pull. */
                    readonly lease: string;
                    /** Only these contents. Default: all of the lease. */
                    readonly ids?: readonly number[] | undefined;
                };
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ids. A content that was acked before, by any worker, is done too. */
                        readonly done: readonly number[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/nack": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** The `lease` of a pull. */
                    readonly lease: string;
                    /** Only these contents. Default: all of the lease. */
                    readonly ids?: readonly number[] | undefined;
                    /** Default 0: at once. */
                    readonly delay_seconds?: number | undefined;
                    /** Give them up: they become dead letters. */
                    readonly dead?: boolean | undefined;
                    /** No work on them has begun: this does not count as an attempt. */
                    readonly untried?: boolean | undefined;
                    /** Why: kept with a dead letter. */
                    readonly reason?: string | undefined;
                };
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ids. A content that was acked before, by any worker, is done too. */
                        readonly done: readonly number[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/extend": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** The `lease` of a pull. */
                    readonly lease: string;
                    /** Only these contents. Default: all of the lease. */
                    readonly ids?: readonly number[] | undefined;
                    /** Seconds that a worker has before its contents are handed out again. Default 30. */
                    readonly lease_seconds?: number | undefined;
                };
            };
        };
        readonly responses: {
            /** All of it is extended */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ids. A content that was acked before, by any worker, is done too. */
                        readonly done: readonly number[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                        /** Format: date-time */
                        readonly lease_until: string;
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/seek": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        /** Exactly one of `id`, `time`, `to`; or just the text `"earliest"` or `"latest"`. */
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": ("earliest" | "latest") | {
                    /** Format: int64 */
                    readonly id: number;
                } | {
                    /** Format: date-time */
                    readonly time: string;
                } | {
                    /** @enum {string} */
                    readonly to: "earliest" | "latest";
                };
            };
        };
        readonly responses: {
            /** As it is now */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Consumer"];
                };
            };
        };
    };
    readonly "GET /consumers/{name}/dead": {
        readonly parameters: {
            readonly query?: {
                /** Start here. Default 0. */
                readonly id?: number;
                /** At most 500; more is clamped. Default 20. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** What was given up, by id */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly dead: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** Format: int64 */
                            readonly wh_id: number;
                            readonly attempts: number;
                            readonly reason: string;
                            /** Format: date-time */
                            readonly dead_at: string;
                        }[];
                        /**
                         * Format: int64
                         * Pass it as the next `id`.
                         */
                        readonly next_id: number;
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/dead/retry": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** Only of these contents. Default: all. */
                    readonly ids?: readonly number[] | undefined;
                };
            };
        };
        readonly responses: {
            /** They wait for the next pull */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ids. A content that was acked before, by any worker, is done too. */
                        readonly done: readonly number[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                        /** Dead letters are left: call again. */
                        readonly more: boolean;
                    };
                };
            };
        };
    };
    readonly "POST /consumers/{name}/redeliver": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** These contents. */
                    readonly ids: readonly number[];
                };
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        /** Ids. A content that was acked before, by any worker, is done too. */
                        readonly done: readonly number[];
                        readonly conflicts: readonly {
                            /** Format: int64 */
                            readonly id: number;
                            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
                            readonly reason: string;
                        }[];
                    };
                };
            };
        };
    };
    readonly "GET /refusals": {
        readonly parameters: {
            readonly query?: {
                readonly whid?: number;
                readonly kind?: "signature" | "secret_missing" | "handshake" | "too_large" | "method" | "network" | "limit";
                /** Only requests with this id of an event. */
                readonly event_id?: string;
                /** Only what came then or later. */
                readonly since?: string;
                /** Start here. */
                readonly id?: number;
                /** `desc`: newest first, refusals with this `id` or a lower one. */
                readonly order?: "asc" | "desc";
                /** At most 100; more is clamped. Default 20. */
                readonly limit?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Refusals, oldest first */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly refusals: readonly components["schemas"]["Refusal"][];
                        /** Format: int64 */
                        readonly next_id: number;
                    };
                };
            };
        };
    };
    readonly "GET /refusals/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The refusal */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Refusal"];
                };
            };
        };
    };
    readonly "GET /refusals/{id}/raw": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** The bytes as they were received */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/octet-stream": string;
                };
            };
        };
    };
    readonly "POST /refusals/{id}/release": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: number;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": {
                    /** true: release it unverified. Default false: it must pass the check now. */
                    readonly force?: boolean | undefined;
                };
            };
        };
        readonly responses: {
            /** What became of it */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReleaseResult"];
                };
            };
        };
    };
    readonly "POST /refusals/release": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": {
                    /** Format: int64 */
                    readonly whid: number;
                    /**
                     * Format: int64
                     * Start here.
                     */
                    readonly id?: number | undefined;
                    /**
                     * Format: date-time
                     * Only what came then or later.
                     */
                    readonly since?: string | undefined;
                    /** true: release it unverified. Default false: it must pass the check now. */
                    readonly force?: boolean | undefined;
                };
            };
        };
        readonly responses: {
            /** What became of each */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["ReleaseResult"];
                };
            };
        };
    };
    readonly "GET /healthz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Alive */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly status: string;
                    };
                };
            };
        };
    };
    readonly "GET /readyz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** Ready */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly status: string;
                        readonly database?: string | undefined;
                        /** @enum {string} */
                        readonly level?: ("as-is" | "extended") | undefined;
                        /** What lists promise on this database, in a word. */
                        readonly promise?: string | undefined;
                        readonly promise_text?: string | undefined;
                        /**
                         * Format: int64
                         * Lists hand out contents up to this id.
                         */
                        readonly readable?: number | undefined;
                        /** Seconds for which lists have been waiting for a row that is being written. */
                        readonly held_s?: number | undefined;
                        /** Why no content has been stored since the last one. */
                        readonly trouble?: string | undefined;
                        /** Which old contents are kept until an operator confirms it, and why. */
                        readonly retention?: string | undefined;
                    };
                };
            };
        };
    };
}
