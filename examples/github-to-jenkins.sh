#!/bin/sh
# GitHub's webhooks for a Jenkins that the internet cannot reach: runs beside Jenkins, and only calls out.
#
#   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN GITHUB_SECRET=a-long-random-text
#   sh examples/github-to-jenkins.sh
#
# The first time it makes the webhook and prints what to paste at GitHub. Needs curl, and restante (npm i -g restante).
set -eu
api() { curl -sS -u "$RESTANTE_AUTH" "$@"; }

case $(api -o /dev/null -w '%{http_code}' "$RESTANTE_URL/consumers/jenkins") in
  200) ;;
  404)
    webhook=$(printf '{"wh_name":"Jenkins","preset":"github","secrets":["%s"]}' "$GITHUB_SECRET" | api -f -d @- "$RESTANTE_URL/webhooks")
    number=$(echo "$webhook" | sed 's/.*"wh_id":\([0-9]*\).*/\1/')
    api -f -o /dev/null -X PUT -d "{\"whid\":[$number],\"start\":\"earliest\"}" "$RESTANTE_URL/consumers/jenkins"
    echo "At GitHub, Settings > Webhooks: this URL, content type application/json, and your GITHUB_SECRET"
    echo "$webhook" | sed 's/.*"wh_url":"\([^"]*\)".*/\1/'
    ;;
  *) echo "$RESTANTE_URL does not answer, or RESTANTE_AUTH is wrong" >&2; exit 1 ;;
esac

exec restante forward jenkins --to "${JENKINS_URL:-http://localhost:8080}/github-webhook/" --pending forward --json
