# Every webhook, with the standard library of Python 3. Each pull acks what the one before brought; what is not acked comes again.
#
#   export RESTANTE_URL=https://hooks.example.org RESTANTE_AUTH=1:TOKEN
#   python3 examples/consume.py orders
import base64, json, os, sys, time, traceback, urllib.request

URL = f"{os.environ['RESTANTE_URL']}/consumers/{sys.argv[1]}/pull"
BASIC = "Basic " + base64.b64encode(os.environ["RESTANTE_AUTH"].encode()).decode()

def handle(item):  # your work; an exception = it comes again
    print(item["id"], item["content"], flush=True)

ack = {}
while True:
    try:
        body = json.dumps({"limit": 20, "wait": 50, **ack}).encode()
        request = urllib.request.Request(URL, body, {"Authorization": BASIC})
        pulled = json.load(urllib.request.urlopen(request, timeout=90))
    except Exception as error:
        print(error, file=sys.stderr)
        time.sleep(5)
        continue
    ids = []
    for item in pulled["items"]:
        try:
            handle(item)
            ids.append(item["id"])
        except Exception:
            traceback.print_exc()
    ack = {"ack": {"lease": pulled["lease"], "ids": ids}} if ids else {}
