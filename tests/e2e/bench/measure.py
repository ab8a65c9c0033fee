"""What the benchmarks share: a cluster, an operator, and what the two spend.

Needs KUBECONFIG with a bearer token (the test bed's has one) and everleaf's CRDs installed.
"""
import base64, concurrent.futures, http.client, json, os, re, ssl, subprocess, tempfile, urllib.parse

NAMESPACE = "bench"
WRITES = ("create", "update", "patch", "delete")


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


def create(chunk, issuer):
    connection = connect()
    for number in chunk:
        body = certificate(f"c{number}", dnsNames=[f"c{number}.example.test"], issuerRef={"name": issuer})
        status, answer = ask(connection, "POST", CERTIFICATES, body)
        assert status == 201, answer


def create_all(count, issuer):
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: create(range(i, count, 4), issuer), range(4)))


def operator(binary, *flags):
    log = open(os.path.join(tempfile.gettempdir(), "everleaf-bench.log"), "w")
    return subprocess.Popen([binary, "operator", "--leader-elect=false", "--internal-healthz-listen-address=0", *flags], stderr=log)


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


def of_bed(pattern):
    """The processes of this test bed whose command line has the pattern."""
    bed, found = os.environ.get("TESTBED_AUDIT", "/?").rsplit("/", 1)[0], []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{pid}/cmdline").read()
        except OSError:
            continue  # It has ended.
        if bed in command and re.search(pattern, command):
            found.append(pid)
    return found


def servers():
    """CPU seconds of the API server and etcd, where they run on this machine, in this test bed."""
    return sum(map(cpu_seconds, of_bed(r"\b(apiserver|etcd)\0")))


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
