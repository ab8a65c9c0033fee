#!/usr/bin/env python3
"""How long a CA issuer takes for N Certificates, what it costs, and what a restart costs.

    ca.py N PATH-TO-EVERLEAF

needs KUBECONFIG with a bearer token (the test bed's has one) and everleaf's CRDs installed. It makes the
namespace `bench`, creates N Certificates (ECDSA P-256) while no operator runs, starts one, waits until all
are Ready, and prints the time, the operator's CPU and memory, and, where TESTBED_AUDIT names an audit log,
the API requests by verb and resource. Then it restarts the operator and counts what it writes.
"""
import base64, concurrent.futures, http.client, json, os, re, ssl, subprocess, sys, tempfile, time, urllib.parse

COUNT, EVERLEAF, NAMESPACE = int(sys.argv[1]), sys.argv[2], "bench"
FLAGS = ["--leader-elect=false", "--metrics-listen-address=0", "--internal-healthz-listen-address=0"]


def kubectl(*args, text=None):
    return subprocess.run(["kubectl", *args], input=text, capture_output=True, text=True, check=True).stdout


CONFIG = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
CLUSTER, USER = CONFIG["clusters"][0]["cluster"], CONFIG["users"][0]["user"]
SERVER = urllib.parse.urlparse(CLUSTER["server"])
TLS = ssl.create_default_context(cadata=base64.b64decode(CLUSTER["certificate-authority-data"]).decode())
HEADERS = {"Authorization": "Bearer " + USER["token"], "Content-Type": "application/json"}
CERTIFICATES = f"/apis/cert-manager.io/v1/namespaces/{NAMESPACE}/certificates"


def ask(connection, method, path, body=None):
    connection.request(method, path, body and json.dumps(body), HEADERS)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def connect():
    return http.client.HTTPSConnection(SERVER.hostname, SERVER.port, context=TLS)


def until_ready(count):
    """Watches until so many Certificates are Ready: a poll would cost the API server more than the issuances do."""
    ready, connection = set(), connect()
    connection.request("GET", CERTIFICATES + "?watch=true&resourceVersion=0&timeoutSeconds=3600", headers=HEADERS)
    for line in connection.getresponse():
        certificate = json.loads(line)["object"]
        conditions = certificate.get("status", {}).get("conditions", [])
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            ready.add(certificate["metadata"]["name"])
        if len(ready) >= count:
            return


def certificate(name, **spec):
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"secretName": name, "privateKey": {"algorithm": "ECDSA"}, **spec}}


def create(chunk):
    connection = connect()
    for number in chunk:
        body = certificate(f"c{number}", dnsNames=[f"c{number}.example.test"], issuerRef={"name": "ca"})
        status, answer = ask(connection, "POST", CERTIFICATES, body)
        assert status == 201, answer


def operator():
    log = open(os.path.join(tempfile.gettempdir(), "everleaf-bench.log"), "w")
    return subprocess.Popen([EVERLEAF, "operator", *FLAGS], stderr=log)


def stop(process):
    process.terminate()
    process.wait()


def cpu_seconds(pid):
    stat = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def used(process):
    """CPU seconds, resident and peak MiB."""
    status = open(f"/proc/{process.pid}/status").read()
    mib = lambda name: int(re.search(name + r":\s+(\d+)", status).group(1)) / 1024
    return cpu_seconds(process.pid), mib("VmRSS"), mib("VmHWM")


def servers():
    """CPU seconds of the API server and etcd, where they run on this machine, in this test bed."""
    bed, spent = os.environ.get("TESTBED_AUDIT", "/?").rsplit("/", 1)[0], 0.0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{pid}/cmdline").read()
            if bed in command and re.search(r"\b(apiserver|etcd)\0", command):
                spent += cpu_seconds(pid)
        except OSError:
            pass  # It has ended.
    return spent


def audited(since):
    """The operator's requests since then: it sends no User-Agent."""
    counts = {}
    with open(os.environ["TESTBED_AUDIT"]) as log:
        log.seek(since)
        for line in log:
            event = json.loads(line) if line.endswith("\n") else {}
            reference = event.get("objectRef") or {}
            if event.get("userAgent", "") == "" and reference:
                what = "/".join(filter(None, [reference.get("resource"), reference.get("subresource")]))
                counts[event["verb"], what] = counts.get((event["verb"], what), 0) + 1
    return counts


def audit_end():
    return os.path.getsize(os.environ["TESTBED_AUDIT"]) if "TESTBED_AUDIT" in os.environ else None


kubectl("create", "namespace", NAMESPACE)
kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "bench"}, "spec": {"selfSigned": {}}},
    certificate("ca", isCA=True, commonName="bench", duration="87600h", issuerRef={"name": "bench", "kind": "ClusterIssuer"}),
    {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "ca", "namespace": NAMESPACE}, "spec": {"ca": {"secretName": "ca"}}}]}))
process = operator()
until_ready(1)
stop(process)
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    list(pool.map(create, [range(i, COUNT, 4) for i in range(4)]))

audit, before, begun, process = audit_end(), servers(), time.monotonic(), operator()
until_ready(COUNT + 1)
seconds, spent = time.monotonic() - begun, servers() - before
time.sleep(10)  # Events are written behind.
cpu, resident, peak = used(process)
print(f"{COUNT} Certificates Ready after {seconds:.1f} s; CPU {cpu / COUNT * 1000:.2f} ms each; "
      f"{resident:.0f} MiB resident, {peak:.0f} MiB at the peak; API server and etcd {spent / COUNT * 1000:.1f} ms each")
for (verb, what), number in sorted((audited(audit) if audit else {}).items(), key=lambda kv: -kv[1])[:8]:
    print(f"  {verb:8} {what:30} {number:7}  {number / COUNT:.2f} each")
stop(process)

audit, process = audit_end(), operator()
time.sleep(15)
cpu, resident, peak = used(process)
writes = sum(n for (verb, _), n in audited(audit).items() if verb in ("create", "update", "patch", "delete")) if audit else "?"
print(f"restart: {writes} writes; CPU {cpu:.2f} s; {resident:.0f} MiB resident, {peak:.0f} MiB at the peak")
stop(process)
kubectl("delete", "namespace", NAMESPACE, "--wait=false")
