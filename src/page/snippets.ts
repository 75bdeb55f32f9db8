// How to send a webhook with a URL of the user's, in the languages people have at hand.

export const LANGUAGES = ['curl', 'HTTPie', 'PowerShell', 'JavaScript', 'Python'] as const;
export type Language = (typeof LANGUAGES)[number];

const BODY = '{"hello":"world"}';

export function snippet(language: Language, url: string): string {
  switch (language) {
    case 'curl':
      return `curl '${url}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${BODY}'`;
    case 'HTTPie':
      return `http POST '${url}' hello=world`;
    case 'PowerShell':
      return `Invoke-RestMethod -Method Post -Uri '${url}' \`\n  -ContentType 'application/json' \`\n  -Body '${BODY}'`;
    case 'JavaScript':
      return `await fetch('${url}', {\n  method: 'POST',\n  headers: { 'content-type': 'application/json' },\n  body: JSON.stringify({ hello: 'world' }),\n});`;
    case 'Python':
      return `import json, urllib.request\n\nurllib.request.urlopen(urllib.request.Request(\n    '${url}',\n    data=json.dumps({'hello': 'world'}).encode(),\n    headers={'Content-Type': 'application/json'},\n))`;
  }
}
