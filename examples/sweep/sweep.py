"""Tries every combination of the parameters of model.py on the cluster and prints the best ones."""
import argparse
import itertools
import json
import os
import pathlib
import sys
import urllib.error
import urllib.request

SERVERS = os.environ.get("CLB_SERVERS", "127.0.0.1:3002,127.0.0.1:3004,127.0.0.1:3005").split(",")
TOKEN = os.environ.get("CLB_TOKEN", "")
RATES = [0.1, 0.03, 0.01, 0.003, 0.001]
DEPTHS = [2, 3, 4, 5, 6]


def call(method, path, body=None):
    """Any server will do; the next one where one does not answer or is stopped."""
    headers = {"content-type": "application/json"}
    if TOKEN:
        headers["authorization"] = f"Bearer {TOKEN}"
    data = None if body is None else json.dumps(body).encode()
    problems = []
    for server in SERVERS:
        request = urllib.request.Request(f"http://{server}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            if error.code not in (418, 502, 503, 504):
                sys.exit(f"{server}: {error.code} {text}")
            problems.append(f"{server}: {error.code} {text}")
        except OSError as error:
            problems.append(f"{server}: {error}")
    sys.exit("no server could do it (start one with `clb up`):\n  " + "\n  ".join(problems))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--name", default=f"sweep-{os.getpid()}", help="the same name again makes no second tasks")
    name = arguments.parse_args().name
    script = pathlib.Path(__file__).with_name("model.py").read_text()
    combinations = list(itertools.product(RATES, DEPTHS))
    tasks = [
        {
            "name": f"rate {rate}, depth {depth}",
            "script": script,
            "env": {"RATE": str(rate), "DEPTH": str(depth)},
            "labels": {"sweep": name},
            "maxAttempts": 2,
            "idempotencyKey": f"{name}:{rate}:{depth}",
        }
        for rate, depth in combinations
    ]
    results = call("POST", "/v1/tasks/batch", {"tasks": tasks})["results"]
    print(f"{len(results)} tasks; watch them with: clb tasks --watch --label sweep={name}", file=sys.stderr)
    found = []
    for result in results:
        task = result["task"]
        while task["status"] not in ("succeeded", "failed", "timed_out", "canceled"):
            task = call("GET", f"/v1/tasks/{task['id']}?wait=30s")
        if task["status"] == "succeeded":
            found.append(json.loads(call("GET", f"/v1/tasks/{task['id']}")["result"]["stdout"]))
        else:
            print(f"{task['name']}: {task['status']}", file=sys.stderr)
    for row in sorted(found, key=lambda row: row["loss"])[:5]:
        print(f"loss {row['loss']:<8} rate {row['rate']:<8} depth {row['depth']}")


main()
