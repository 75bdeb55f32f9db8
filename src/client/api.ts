// The types of every call of the API, made from its document. Not to be edited: npm run client-types.
/* biome-ignore-all format: made by a program */

export interface components {
    schemas: {
        readonly Account: {
            readonly username: string;
            readonly hint?: string | undefined;
        };
        readonly Activity: {
            readonly webhooks: readonly {
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
        /** From this id on */
        readonly AtId: {
            readonly id: number;
        };
        /** From this moment on */
        readonly AtTime: {
            /** Format: date-time */
            readonly time: string;
        };
        /** What other claims must be: `{"email":"push@project.iam.gserviceaccount.com"}`. A true or false is written as a text. An empty text is yet to be said: until then requests are kept and not accepted. */
        readonly Claims: {
            readonly [key: string]: string;
        };
        readonly Consumer: {
            readonly name: string;
            readonly whid: readonly number[] | null;
            readonly lease_seconds: number;
            readonly max_attempts: number;
            readonly ordered: boolean;
            /** @enum {string} */
            readonly duplicates: "deliver" | "skip";
            /** Format: date-time */
            readonly created_at: string;
            /**
             * Format: date-time
             * Time of the last pull, to the hour; null before the first.
             */
            readonly pulled_at: string | null;
            /** The content that was handed out last for the first time; 0 = none. */
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
            readonly gap?: components["schemas"]["Gap"] | undefined;
        };
        readonly ConsumerList: {
            readonly consumers: readonly components["schemas"]["Consumer"][];
        };
        readonly ConsumerName: string;
        readonly ConsumerPut: {
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
            readonly start?: components["schemas"]["Start"] | undefined;
        };
        readonly Content: {
            readonly id: number;
            /** The body, as text in `encoding`; null: `unreadable`. */
            readonly content: string | null;
            /** IPv4 address, or ipv6: see request.ip. */
            readonly ip: string;
            /** 1 = received by a webhook, 0 = posted by the user. */
            readonly api: number;
            readonly dt: string;
            /** 0 = own content. */
            readonly wh_id: number;
            /** @enum {string} */
            readonly encoding: "utf-8" | "base64" | "windows-1252";
            readonly request: components["schemas"]["ReceivedRequest"] | null;
            /** Why there is no body, and what to do. */
            readonly unreadable?: string | undefined;
        };
        readonly ContentId: number;
        readonly ContentPage: {
            readonly whcontent: readonly components["schemas"]["Content"][];
            /** Pass it as the next `id`. */
            readonly next_id: number;
            /** Your `id` is ahead of every content: was the database restored? */
            readonly reset?: {
                readonly max_id: number;
            } | undefined;
            /** Seconds for which a transaction of another application has held back newer contents. */
            readonly held_s?: number | undefined;
            readonly hint?: string | undefined;
        };
        readonly DeadLetter: {
            readonly id: number;
            readonly wh_id: number;
            readonly attempts: number;
            readonly reason: string;
            /** Format: date-time */
            readonly dead_at: string;
        };
        readonly DeadLetterPage: {
            readonly dead: readonly components["schemas"]["DeadLetter"][];
            /** Pass it as the next `id`. */
            readonly next_id: number;
        };
        /** How the same event is known again when it is sent twice. It is flagged, never dropped. */
        readonly Dedupe: {
            readonly from?: components["schemas"]["DedupeFrom"] | undefined;
            /** How long an id is remembered. */
            readonly window_seconds?: number | undefined;
        };
        /** Where the id of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there, or `sha256` of the body. Several are joined with `/`. Default: what the preset says. */
        readonly DedupeFrom: string | readonly string[];
        readonly DedupePatch: {
            readonly from?: ((string | null) | readonly string[]) | undefined;
            readonly window_seconds?: (number | null) | undefined;
        } | null;
        /**
         * One end
         * @enum {string}
         */
        readonly End: "earliest" | "latest";
        readonly Extend: {
            /** The `lease` of a pull. */
            readonly lease: string;
            /** Only these contents. Default: all of the lease. */
            readonly ids?: readonly number[] | undefined;
            /** Seconds that a worker has before its contents are handed out again. Default 30. */
            readonly lease_seconds?: number | undefined;
        };
        readonly Extended: {
            /** Ids. A content that was acked before, by any worker, is done too. */
            readonly done: readonly number[];
            readonly conflicts: readonly components["schemas"]["LeaseConflict"][];
            /** Format: date-time */
            readonly lease_until: string;
        };
        readonly FetchedContent: {
            readonly id: number;
            readonly content: string | null;
            readonly ip: string;
            readonly api: number;
            readonly dt: string;
            readonly wh_id: number;
            /** @enum {string} */
            readonly encoding: "utf-8" | "base64" | "windows-1252";
            readonly request: components["schemas"]["ReceivedRequest"] | null;
            readonly unreadable?: string | undefined;
            readonly hint?: string | undefined;
        };
        /** Ids of contents that retention removed before they were read. Told until something after them is acked. */
        readonly Gap: {
            readonly from: number;
            readonly to: number;
        };
        readonly Handshake: {
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
        };
        readonly Health: {
            readonly status: string;
        };
        readonly LeaseConflict: {
            readonly id: number;
            /** `leased-anew` (another worker has it), `waiting` (it was given back and comes again), `dead`, `not-handed-out`, `other-consumer`, `not-found`, `not-dead`, `in-hand`. */
            readonly reason: string;
        };
        readonly LeasedContents: {
            /** The `lease` of a pull. */
            readonly lease: string;
            /** Only these contents. Default: all of the lease. */
            readonly ids?: readonly number[] | undefined;
        };
        readonly ListedWebhook: {
            readonly wh_id: number;
            /** The public URL that a provider POSTs to. */
            readonly wh_url: string;
            readonly wh_name: string;
            /** 1 = enabled. */
            readonly status: number;
        };
        readonly Nack: {
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
        readonly Outcome: {
            /** Ids. A content that was acked before, by any worker, is done too. */
            readonly done: readonly number[];
            readonly conflicts: readonly components["schemas"]["LeaseConflict"][];
        };
        readonly Posted: {
            /** @enum {string} */
            readonly result: "ok";
            readonly id: number;
            readonly hint?: string | undefined;
        };
        readonly Pull: {
            /** At most 500; more is clamped. Default 20. */
            readonly limit?: number | undefined;
            /** Seconds to wait for a content when there is none; at most 55. Default 0. */
            readonly wait?: number | undefined;
            /** Seconds that a worker has before its contents are handed out again. Default 30. */
            readonly lease_seconds?: number | undefined;
            readonly start?: components["schemas"]["Start"] | undefined;
            /** What to ack first, whatever the pull brings: a lease, or `{lease, ids}`. */
            readonly ack?: (string | components["schemas"]["LeasedContents"]) | undefined;
        };
        readonly Pulled: {
            /** Ack with it. Null when there is no item. */
            readonly lease: string | null;
            readonly items: readonly components["schemas"]["PulledContent"][];
            readonly conflicts: readonly components["schemas"]["LeaseConflict"][];
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
            readonly gap?: components["schemas"]["Gap"] | undefined;
        };
        readonly PulledContent: {
            readonly id: number;
            readonly content: string;
            readonly ip: string;
            readonly api: number;
            readonly dt: string;
            readonly wh_id: number;
            /** @enum {string} */
            readonly encoding: "utf-8" | "base64" | "windows-1252";
            readonly request: components["schemas"]["ReceivedRequest"] | null;
            /** Which hand-out this is: 1 = the first. */
            readonly attempt: number;
            /** Format: date-time */
            readonly lease_until: string;
        };
        readonly Readiness: {
            readonly status: string;
            readonly database?: string | undefined;
            /** @enum {string} */
            readonly level?: ("as-is" | "extended") | undefined;
            /** What lists promise on this database, in a word. */
            readonly promise?: string | undefined;
            readonly promise_text?: string | undefined;
            /** Lists hand out contents up to this id. */
            readonly readable?: number | undefined;
            /** Seconds for which lists have been waiting for a row that is being written. */
            readonly held_s?: number | undefined;
            /** Why no content has been stored since the last one. */
            readonly trouble?: string | undefined;
            /** Which old contents are kept until an operator confirms it, and why. */
            readonly retention?: string | undefined;
        };
        readonly ReceivedRequest: {
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
            readonly duplicate_of: number | null;
            readonly released_from: number | null;
        };
        readonly Redeliver: {
            /** These contents. */
            readonly ids: readonly number[];
        };
        readonly Refusal: {
            readonly id: number;
            readonly wh_id: number;
            readonly kind: string;
            /** What happened and what to do. */
            readonly reason: string;
            readonly near_miss: string | null;
            /** A link that you have to open yourself, to confirm a subscription. It is never fetched. */
            readonly link?: string | undefined;
            readonly size: number | null;
            readonly request: components["schemas"]["RefusedRequest"];
            readonly released_as: number | null;
        };
        readonly RefusalPage: {
            readonly refusals: readonly components["schemas"]["Refusal"][];
            readonly next_id: number;
        };
        readonly RefusedRequest: {
            readonly method: string;
            readonly url: string;
            readonly public_url: string;
            readonly headers: readonly (readonly string[])[];
            readonly ip: string;
            /** Format: date-time */
            readonly received_at: string;
        };
        readonly Release: {
            /** true: release it unverified. Default false: it must pass the check now. */
            readonly force?: boolean | undefined;
        };
        readonly ReleaseMany: {
            readonly whid: number;
            /** Start here. */
            readonly id?: number | undefined;
            /**
             * Format: date-time
             * Only what came then or later.
             */
            readonly since?: string | undefined;
            /** true: release it unverified. Default false: it must pass the check now. */
            readonly force?: boolean | undefined;
        };
        readonly ReleaseResult: {
            readonly released: readonly {
                readonly id: number;
                readonly content_id: number;
            }[];
            readonly kept: readonly {
                readonly id: number;
                readonly reason: string;
            }[];
            /** More refusals are left: pass it as `id`. */
            readonly next_id?: number | undefined;
        };
        readonly Retried: {
            /** Ids. A content that was acked before, by any worker, is done too. */
            readonly done: readonly number[];
            readonly conflicts: readonly components["schemas"]["LeaseConflict"][];
            /** Dead letters are left: call again. */
            readonly more: boolean;
        };
        readonly RetryDead: {
            /** Only of these contents. Default: all. */
            readonly ids?: readonly number[] | undefined;
        };
        readonly Rotate: {
            /** How long the old URL goes on. Default 86400. */
            readonly grace_seconds?: number | undefined;
        };
        readonly Secret: {
            readonly id: string;
            /** Its last four characters; empty when it is short. */
            readonly last4: string;
            /** Format: date-time */
            readonly expires_at: string | null;
        };
        readonly SecretKept: {
            readonly id: string;
            /**
             * Format: date-time
             * It counts until then. Default: for ever.
             */
            readonly expires_at?: (string | null) | undefined;
        };
        readonly SecretNew: {
            /** The secret itself */
            readonly value: string;
            /**
             * Format: date-time
             * It counts until then. Default: for ever.
             */
            readonly expires_at?: (string | null) | undefined;
        };
        /** Exactly one of `id`, `time`, `to`; or just the text `"earliest"` or `"latest"`. */
        readonly Seek: components["schemas"]["End"] | components["schemas"]["AtId"] | components["schemas"]["AtTime"] | components["schemas"]["ToEnd"];
        /** `earliest`, `latest`, `{"id": 27}` (contents with this id or a higher one) or `{"time": "2026-11-22T10:00:00Z"}` (contents that came then or later). Counts for a new consumer only. If it is left out, a new consumer begins at the earliest when no more than 1,000 contents wait; else the call answers 409 `start-needed`. */
        readonly Start: components["schemas"]["End"] | components["schemas"]["AtId"] | components["schemas"]["AtTime"];
        readonly TestInput: {
            /** The type of the event, as the provider writes it. Default: a usual one. */
            readonly type?: string | undefined;
            /** The id of the event; sent twice, the second is flagged as a duplicate. Default: a new one. */
            readonly id?: string | undefined;
        };
        readonly TestSent: {
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
        /** To one end */
        readonly ToEnd: {
            readonly to: components["schemas"]["End"];
        };
        readonly Trace: {
            readonly id: number;
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
            readonly signature?: components["schemas"]["VerifySignature"] | undefined;
            readonly jwt?: components["schemas"]["VerifyJwt"] | undefined;
            readonly timestamp?: components["schemas"]["VerifyTimestamp"] | undefined;
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
            readonly handshake?: readonly components["schemas"]["Handshake"][] | undefined;
            /** Where the type of the event stands: `header:Name` (`header:A,B`: either), `body:/json/pointer`, `form:name` (also of a multipart form), `query:name`, `form:payload#/json/pointer` (in the JSON of a field), or several: `body:/id | form:id` is the first that is there. */
            readonly event_type?: string | undefined;
        };
        /** With the scheme jwt. The token stands in `signature.from` (default `header:Authorization`), with or without `Bearer `. The secret is a shared key, a public key, or a set of keys as JSON (JWKS). `exp` and `nbf` may be off by `tolerance_seconds`. */
        readonly VerifyJwt: {
            /** What the claim `iss` must be. Default: anything. */
            readonly issuer?: string | undefined;
            /** What the claim `aud` must be, or have in its list. Default: anything. */
            readonly audience?: string | undefined;
            /** The claim that must be the SHA-256 of the body, in hex or base64: `request_body_sha256`. Without it the token says nothing of the body: then `covers_body` must be false. */
            readonly body_claim?: string | undefined;
            /** The claim with the time of the signature, in seconds: `iat`. It may be off by `tolerance_seconds` in both directions. Default: none, and only `exp` and `nbf` count. */
            readonly time_claim?: string | undefined;
            readonly claims?: components["schemas"]["Claims"] | undefined;
        };
        readonly VerifyJwtPatch: {
            readonly issuer?: string | undefined;
            readonly audience?: string | undefined;
            readonly body_claim?: string | undefined;
            readonly time_claim?: string | undefined;
            readonly claims?: components["schemas"]["Claims"] | undefined;
        } | null;
        readonly VerifyPatch: {
            /** @enum {string|null} */
            readonly scheme?: ("hmac" | "hash" | "asymmetric" | "jwt" | "shared-secret" | "none" | null) | undefined;
            /** @enum {string|null} */
            readonly algorithm?: ("sha256" | "sha1" | "sha512" | "ed25519" | "ecdsa-p256" | "rsa-sha256" | "rsa-sha1" | "hs256" | "hs384" | "hs512" | "rs256" | "es256" | "ps256" | null) | undefined;
            /** @enum {string|null} */
            readonly encoding?: ("hex" | "base64" | "base64url" | null) | undefined;
            /** @enum {string|null} */
            readonly key_encoding?: ("utf8" | "base64" | "hex" | null) | undefined;
            readonly key_prefix?: (string | null) | undefined;
            /** @enum {string|null} */
            readonly key_hash?: ("sha1" | "sha256" | null) | undefined;
            readonly signature?: components["schemas"]["VerifySignaturePatch"] | undefined;
            readonly jwt?: components["schemas"]["VerifyJwtPatch"] | undefined;
            readonly timestamp?: components["schemas"]["VerifyTimestampPatch"] | undefined;
            readonly tolerance_seconds?: (number | null) | undefined;
            readonly signed_string?: (string | null) | undefined;
            /** @enum {string|null} */
            readonly body?: ("raw" | "decoded" | null) | undefined;
            readonly covers_body?: (boolean | null) | undefined;
            readonly id?: (string | null) | undefined;
            /** @enum {string|null} */
            readonly url?: ("as-is" | "hubspot" | "twilio" | null) | undefined;
            readonly secret_from?: (string | null) | undefined;
            readonly token?: (string | null) | undefined;
            readonly handshake?: (readonly components["schemas"]["Handshake"][] | null) | undefined;
            readonly event_type?: (string | null) | undefined;
        } | null;
        readonly VerifySignature: {
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
        };
        readonly VerifySignaturePatch: {
            readonly from?: string | undefined;
            /** @enum {string} */
            readonly headers?: ("first" | "all") | undefined;
            readonly item_separator?: string | undefined;
            readonly field_separator?: string | undefined;
            readonly field?: string | undefined;
        } | null;
        readonly VerifyTimestamp: {
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
        };
        readonly VerifyTimestampPatch: {
            readonly from?: string | undefined;
            /** @enum {string} */
            readonly unit?: ("s" | "ms") | undefined;
            /** @enum {string} */
            readonly format?: ("unix" | "iso8601" | "http-date") | undefined;
        } | null;
        readonly Webhook: {
            readonly wh_id: number;
            /** The public URL that a provider POSTs to. */
            readonly wh_url: string;
            readonly wh_name: string;
            /** 1 = enabled. */
            readonly status: number;
            readonly preset: string | null;
            readonly verify: components["schemas"]["Verify"] | null;
            /** Without their values: those are never told again. */
            readonly secrets: readonly components["schemas"]["Secret"][];
            readonly dedupe: components["schemas"]["Dedupe"] | null;
            /** @enum {string} */
            readonly on_reject: "keep" | "drop";
            readonly response: components["schemas"]["WebhookResponse"];
            readonly max_body_bytes: number | null;
            readonly allow_methods: readonly string[] | null;
            readonly allow_networks: readonly string[] | null;
            readonly allow_origins: readonly string[] | null;
            readonly retention_days: number | null;
            readonly enabled: boolean;
            /** Format: date-time */
            readonly created_at: string;
            /** What to do at the provider, with this URL. */
            readonly steps?: readonly string[] | undefined;
            readonly hint?: string | undefined;
        };
        readonly WebhookCreate: {
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
            /** Larger bodies are refused with 413. Default: MAX_BODY_BYTES. */
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
            readonly secrets?: readonly (string | components["schemas"]["SecretNew"])[] | undefined;
        };
        readonly WebhookId: number;
        readonly WebhookList: {
            readonly webhooks: readonly components["schemas"]["ListedWebhook"][];
            /** There are more webhooks: pass it as `id`. */
            readonly next_id?: number | undefined;
            readonly hint?: string | undefined;
        };
        readonly WebhookPatch: {
            readonly response?: components["schemas"]["WebhookResponsePatch"] | undefined;
            /** Larger bodies are refused with 413. Default: MAX_BODY_BYTES. */
            readonly max_body_bytes?: (number | null) | undefined;
            /** Other methods are refused with 405. Default: every method. */
            readonly allow_methods?: (readonly string[] | null) | undefined;
            /** Senders outside of these addresses and CIDR networks are refused with 403. Default: all senders. */
            readonly allow_networks?: (readonly string[] | null) | undefined;
            /** Web sites whose pages may send with a browser and read the answer; `*`: all. A preflight (OPTIONS with Origin and Access-Control-Request-Method) is answered 204 and never stored. Default: none. */
            readonly allow_origins?: (readonly string[] | null) | undefined;
            /** How this provider signs, shakes hands and names its events: `restante presets` lists them; `generic` for others. Default: nothing is checked. */
            readonly preset?: (string | null) | undefined;
            readonly verify?: components["schemas"]["VerifyPatch"] | undefined;
            readonly dedupe?: components["schemas"]["DedupePatch"] | undefined;
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
            readonly secrets?: (readonly (string | components["schemas"]["SecretNew"] | components["schemas"]["SecretKept"])[] | null) | undefined;
        };
        readonly WebhookResponse: {
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
        readonly WebhookResponsePatch: {
            readonly status?: (number | null) | undefined;
            /** @enum {string|null} */
            readonly content_type?: ("text/plain" | "text/xml" | "application/xml" | "application/json" | null) | undefined;
            readonly body?: (string | null) | undefined;
        } | null;
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
            /** Larger bodies are refused with 413. Default: MAX_BODY_BYTES. */
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
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Account = components['schemas']['Account'];
export type Activity = components['schemas']['Activity'];
export type AtId = components['schemas']['AtId'];
export type AtTime = components['schemas']['AtTime'];
export type Claims = components['schemas']['Claims'];
export type Consumer = components['schemas']['Consumer'];
export type ConsumerList = components['schemas']['ConsumerList'];
export type ConsumerName = components['schemas']['ConsumerName'];
export type ConsumerPut = components['schemas']['ConsumerPut'];
export type Content = components['schemas']['Content'];
export type ContentId = components['schemas']['ContentId'];
export type ContentPage = components['schemas']['ContentPage'];
export type DeadLetter = components['schemas']['DeadLetter'];
export type DeadLetterPage = components['schemas']['DeadLetterPage'];
export type Dedupe = components['schemas']['Dedupe'];
export type DedupeFrom = components['schemas']['DedupeFrom'];
export type DedupePatch = components['schemas']['DedupePatch'];
export type End = components['schemas']['End'];
export type Extend = components['schemas']['Extend'];
export type Extended = components['schemas']['Extended'];
export type FetchedContent = components['schemas']['FetchedContent'];
export type Gap = components['schemas']['Gap'];
export type Handshake = components['schemas']['Handshake'];
export type Health = components['schemas']['Health'];
export type LeaseConflict = components['schemas']['LeaseConflict'];
export type LeasedContents = components['schemas']['LeasedContents'];
export type ListedWebhook = components['schemas']['ListedWebhook'];
export type Nack = components['schemas']['Nack'];
export type Outcome = components['schemas']['Outcome'];
export type Posted = components['schemas']['Posted'];
export type Pull = components['schemas']['Pull'];
export type Pulled = components['schemas']['Pulled'];
export type PulledContent = components['schemas']['PulledContent'];
export type Readiness = components['schemas']['Readiness'];
export type ReceivedRequest = components['schemas']['ReceivedRequest'];
export type Redeliver = components['schemas']['Redeliver'];
export type Refusal = components['schemas']['Refusal'];
export type RefusalPage = components['schemas']['RefusalPage'];
export type RefusedRequest = components['schemas']['RefusedRequest'];
export type Release = components['schemas']['Release'];
export type ReleaseMany = components['schemas']['ReleaseMany'];
export type ReleaseResult = components['schemas']['ReleaseResult'];
export type Retried = components['schemas']['Retried'];
export type RetryDead = components['schemas']['RetryDead'];
export type Rotate = components['schemas']['Rotate'];
export type Secret = components['schemas']['Secret'];
export type SecretKept = components['schemas']['SecretKept'];
export type SecretNew = components['schemas']['SecretNew'];
export type Seek = components['schemas']['Seek'];
export type Start = components['schemas']['Start'];
export type TestInput = components['schemas']['TestInput'];
export type TestSent = components['schemas']['TestSent'];
export type ToEnd = components['schemas']['ToEnd'];
export type Trace = components['schemas']['Trace'];
export type Verify = components['schemas']['Verify'];
export type VerifyJwt = components['schemas']['VerifyJwt'];
export type VerifyJwtPatch = components['schemas']['VerifyJwtPatch'];
export type VerifyPatch = components['schemas']['VerifyPatch'];
export type VerifySignature = components['schemas']['VerifySignature'];
export type VerifySignaturePatch = components['schemas']['VerifySignaturePatch'];
export type VerifyTimestamp = components['schemas']['VerifyTimestamp'];
export type VerifyTimestampPatch = components['schemas']['VerifyTimestampPatch'];
export type Webhook = components['schemas']['Webhook'];
export type WebhookCreate = components['schemas']['WebhookCreate'];
export type WebhookId = components['schemas']['WebhookId'];
export type WebhookList = components['schemas']['WebhookList'];
export type WebhookPatch = components['schemas']['WebhookPatch'];
export type WebhookResponse = components['schemas']['WebhookResponse'];
export type WebhookResponsePatch = components['schemas']['WebhookResponsePatch'];
export type Settings = components['schemas']['Settings'];
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
                    readonly "application/json": components["schemas"]["Account"];
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
                    readonly "application/json": components["schemas"]["WebhookList"];
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
                readonly "application/json": components["schemas"]["WebhookCreate"];
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
                readonly wh_id: components["schemas"]["WebhookId"];
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
                readonly wh_id: components["schemas"]["WebhookId"];
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
                readonly wh_id: components["schemas"]["WebhookId"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["WebhookPatch"];
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
                readonly wh_id: components["schemas"]["WebhookId"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["Rotate"];
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
                readonly wh_id: components["schemas"]["WebhookId"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["TestInput"];
            };
        };
        readonly responses: {
            /** What became of it */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["TestSent"];
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
                readonly whid?: string;
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
                readonly "application/octet-stream": string;
            };
        };
        readonly responses: {
            /** Stored */
            readonly 201: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Posted"];
                };
            };
        };
    };
    readonly "GET /whcontent/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: components["schemas"]["ContentId"];
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
                    readonly "application/json": components["schemas"]["FetchedContent"];
                };
            };
        };
    };
    readonly "DELETE /whcontent/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: components["schemas"]["ContentId"];
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
                readonly id: components["schemas"]["ContentId"];
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
                readonly id: components["schemas"]["ContentId"];
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
                    readonly "application/json": components["schemas"]["Activity"];
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
                    readonly "application/json": components["schemas"]["ConsumerList"];
                };
            };
        };
    };
    readonly "GET /consumers/{name}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
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
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["ConsumerPut"];
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
                readonly name: components["schemas"]["ConsumerName"];
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
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["Pull"];
            };
        };
        readonly responses: {
            /** What there is; `items` is empty when there is nothing */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Pulled"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/ack": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["LeasedContents"];
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Outcome"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/nack": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["Nack"];
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Outcome"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/extend": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["Extend"];
            };
        };
        readonly responses: {
            /** All of it is extended */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Extended"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/seek": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["Seek"];
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
                readonly name: components["schemas"]["ConsumerName"];
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
                    readonly "application/json": components["schemas"]["DeadLetterPage"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/dead/retry": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["RetryDead"];
            };
        };
        readonly responses: {
            /** They wait for the next pull */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Retried"];
                };
            };
        };
    };
    readonly "POST /consumers/{name}/redeliver": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly name: components["schemas"]["ConsumerName"];
            };
            readonly cookie?: never;
        };
        readonly requestBody: {
            readonly content: {
                readonly "application/json": components["schemas"]["Redeliver"];
            };
        };
        readonly responses: {
            /** All of it is done */
            readonly 200: {
                headers: {
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Outcome"];
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
                    readonly "application/json": components["schemas"]["RefusalPage"];
                };
            };
        };
    };
    readonly "GET /refusals/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                readonly id: components["schemas"]["ContentId"];
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
                readonly id: components["schemas"]["ContentId"];
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
                readonly id: components["schemas"]["ContentId"];
            };
            readonly cookie?: never;
        };
        readonly requestBody?: {
            readonly content: {
                readonly "application/json": components["schemas"]["Release"];
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
                readonly "application/json": components["schemas"]["ReleaseMany"];
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
                    readonly "application/json": components["schemas"]["Health"];
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
                    readonly "application/json": components["schemas"]["Readiness"];
                };
            };
        };
    };
}
