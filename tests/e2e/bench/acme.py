#!/usr/bin/env python3
"""How long an ACME issuer takes for N Certificates of one name each, and what each costs.

    acme.py (http01|dns01) N PATH-TO-EVERLEAF [FLAG...]

needs what measure.py needs, and a test bed's TESTBED_PEBBLE, TESTBED_CA and TESTBED_HOST; for DNS-01 also
TESTBED_DNS, TESTBED_TSIG_NAME and TESTBED_TSIG_FILE. It makes the namespace `bench` with an Issuer, waits for its
account, creates N Certificates (ECDSA P-256) while no operator runs, starts one with the flags given, waits until all
are Ready and nothing of the challenges is left, and prints time, CPU, memory, the requests to the CA from the
operator's metrics, and from the audit log the API writes by name. Pebble is told how it validates, and how many
authorizations it hands out again, by PEBBLE_* variables when the test bed comes up; what it was told is printed.
"""
import base64, collections, json, os, re, sys, time, urllib.request
from measure import (NAMESPACE, WRITES, audit_end, audited, create_all, kubectl, of_bed, operator, servers, stop,
                     until_ready, used)

METHOD, COUNT, EVERLEAF = sys.argv[1], int(sys.argv[2]), sys.argv[3]
METRICS = "127.0.0.1:19402"
FLAGS = [f"--metrics-listen-address={METRICS}", f"--acme-http01-responder-ip={os.environ['TESTBED_HOST']}",
         "--acme-http01-responder-port=18089", f"--dns01-recursive-nameservers={os.environ.get('TESTBED_DNS', '')}", *sys.argv[4:]]
SOLVERS = {
    "http01": lambda: {"http01": {"ingress": {"ingressClassName": "traefik"}}},
    "dns01": lambda: {"dns01": {"rfc2136": {
        "nameserver": os.environ["TESTBED_DNS"], "tsigKeyName": os.environ["TESTBED_TSIG_NAME"],
        "tsigAlgorithm": "HMACSHA256", "tsigSecretSecretRef": {"name": "tsig", "key": "key"}}}},
}


def issuer():
    acme = {"server": os.environ["TESTBED_PEBBLE"], "email": "ops@example.test", "solvers": [SOLVERS[METHOD]()],
            "caBundle": base64.b64encode(open(os.environ["TESTBED_CA"], "rb").read()).decode(),
            "privateKeySecretRef": {"name": "account"}}
    return {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "acme", "namespace": NAMESPACE}, "spec": {"acme": acme}}


def pebble():
    """What Pebble was told."""
    told = [open(f"/proc/{pid}/environ").read().split("\0") for pid in of_bed(r"pebble\0")]
    return sorted({pair for pairs in told for pair in pairs if pair.startswith("PEBBLE_")})


def ca_requests():
    """Requests to the CA by what they were for."""
    text, counts = urllib.request.urlopen(f"http://{METRICS}/metrics").read().decode(), collections.Counter()
    for labels, number in re.findall(r"^certmanager_http_acme_client_request_count\{(.*)\} (\S+)", text, re.M):
        counts[re.search(r'action="([^"]*)"', labels).group(1)] += int(float(number))
    return counts


def until_swept():
    """Until no Challenge is left, nor what one presented."""
    while kubectl("get", "challenges,ingresses", "-n", NAMESPACE, "-o", "name"):
        time.sleep(0.5)


def table(title, counts):
    print(f"{title}: {sum(counts.values()) / COUNT:.2f} each")
    for what, number in sorted(counts.items(), key=lambda kv: -kv[1]):
        print(f"  {what:52} {number:7}  {number / COUNT:.2f} each")


kubectl("create", "namespace", NAMESPACE)
if METHOD == "dns01":
    key = open(os.environ["TESTBED_TSIG_FILE"]).read().strip()
    kubectl("create", "secret", "generic", "tsig", "-n", NAMESPACE, f"--from-literal=key={key}")
kubectl("apply", "-f", "-", text=json.dumps(issuer()))
process = operator(EVERLEAF, *FLAGS)
kubectl("wait", "--for=condition=Ready", "issuer/acme", "-n", NAMESPACE, "--timeout=60s")
stop(process)
create_all(COUNT, "acme")

audit, before, begun, process = audit_end(), servers(), time.monotonic(), operator(EVERLEAF, *FLAGS)
until_ready(COUNT)
seconds, spent = time.monotonic() - begun, servers() - before
until_swept()
swept = time.monotonic() - begun
time.sleep(15)  # Events are written behind.
cpu, resident, peak = used(process)
print(f"{COUNT} Certificates by {METHOD} Ready after {seconds:.1f} s, swept after {swept:.1f} s; CPU {cpu / COUNT * 1000:.2f} ms each; "
      f"{resident:.0f} MiB resident, {peak:.0f} MiB at the peak; API server and etcd {spent / COUNT * 1000:.1f} ms each")
print("Pebble:", " ".join(pebble()) or "its own defaults")
table("requests to the CA", ca_requests())
if audit is not None:
    requests = audited(audit)
    told = {f"{verb} {what}": n for (verb, what), n in requests.items()}
    chosen = lambda wanted: {what: n for what, n in told.items() if wanted(what.split()[0] in WRITES, what.endswith(" events"))}
    table("writes", chosen(lambda writes, events: writes and not events))
    table("Events", chosen(lambda writes, events: writes and events))
    table("reads", chosen(lambda writes, events: not writes))
stop(process)
kubectl("delete", "namespace", NAMESPACE, "--wait=true")
