#!/usr/bin/env python3
"""Certificates that live for ten minutes, behind a real proxy, looked at without a pause.

    short_lived.py MINUTES PATH-TO-EVERLEAF

runs in the test bed (`testbed up kube dns pebble traefik`, `testbed exec ...`) with everleaf's CRDs installed. It makes
the namespace `short-lived`, an Issuer with Pebble's profile `minutes` and an annotated Ingress, starts an operator, and
makes one TLS handshake after the other with the proxy, each with a verified chain and name. At the end it prints how
many handshakes there were, how many failed and why, how often the certificate was replaced, and the least time that
was left of one when its successor was first seen.
"""
import base64, json, os, socket, ssl, subprocess, sys, tempfile, time, urllib.request

MINUTES, EVERLEAF = float(sys.argv[1]), sys.argv[2]
NAMESPACE, HOST = "short-lived", "short-lived.example.test"
PAUSE = 0.05
PROXY, ADMIN = os.environ["TESTBED_PROXY"].split(":")[0], os.environ["TESTBED_PEBBLE_ADMIN"].rstrip("/")
FLAGS = ["--leader-elect=false", "--metrics-listen-address=0", "--internal-healthz-listen-address=0",
         f"--namespace={NAMESPACE}", f"--leader-election-namespace={NAMESPACE}",
         f"--acme-http01-responder-ip={os.environ['TESTBED_HOST']}", "--acme-http01-responder-port=18099"]


def kubectl(*args, text=None, check=True):
    return subprocess.run(["kubectl", *args], input=text, capture_output=True, text=True, check=check).stdout


def objects():
    bundle = base64.b64encode(open(os.environ["TESTBED_CA"], "rb").read()).decode()
    acme = {"server": os.environ["TESTBED_PEBBLE"], "caBundle": bundle, "profile": "minutes",
            "privateKeySecretRef": {"name": "account"}, "solvers": [{"http01": {"ingress": {"ingressClassName": "traefik"}}}]}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
    return [{"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "pebble"}, "spec": {"acme": acme}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
             "metadata": {"name": "shop", "annotations": {"cert-manager.io/issuer": "pebble"}},
             "spec": {"ingressClassName": "traefik", "tls": [{"hosts": [HOST], "secretName": "shop-tls"}],
                      "rules": [{"host": HOST, "http": {"paths": [path]}}]}}]


def roots():
    """Pebble's roots, its alternative ones too."""
    anyone, found = ssl._create_unverified_context(), []
    for number in range(3):
        try:
            found.append(urllib.request.urlopen(f"{ADMIN}/roots/{number}", context=anyone).read().decode())
        except OSError:
            break
    return "\n".join(found)


def handshake(context):
    """The serial number and the end of the certificate that is served."""
    with socket.create_connection((PROXY, 443), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=HOST) as tls:
            served = tls.getpeercert()
    return served["serialNumber"], ssl.cert_time_to_seconds(served["notAfter"])


def visit(context, end):
    made, failures, seen, least = 0, {}, [], None
    while time.monotonic() < end:
        made += 1
        try:
            serial, not_after = handshake(context)
            if not seen or seen[-1][0] != serial:
                if seen:
                    left = seen[-1][1] - time.time()
                    least = left if least is None else min(least, left)
                    print(f"  {time.strftime('%H:%M:%S')} replaced with {left:.0f} s left", flush=True)
                seen.append((serial, not_after))
        except (OSError, ssl.SSLError) as error:
            why = str(error)
            failures[why] = failures.get(why, 0) + 1
        time.sleep(PAUSE)
    return made, failures, len(seen) - 1, least


def main():
    kubectl("delete", "namespace", NAMESPACE, "--wait", check=False)
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "-n", NAMESPACE, "-f", "-",
            text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()}))
    log = open(os.path.join(tempfile.gettempdir(), "everleaf-short-lived.log"), "w")
    operator = subprocess.Popen([EVERLEAF, "operator", *FLAGS], stderr=log)
    try:
        kubectl("wait", "-n", NAMESPACE, "--for=create", "certificate/shop-tls", "--timeout=60s")
        kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "certificate/shop-tls", "--timeout=120s")
        context = ssl.create_default_context(cadata=roots())
        served = time.monotonic() + 30
        while time.monotonic() < served:  # The proxy has to see the Secret first.
            try:
                handshake(context)
                break
            except (OSError, ssl.SSLError):
                time.sleep(0.2)
        made, failures, renewals, least = visit(context, time.monotonic() + MINUTES * 60)
        orders = json.loads(kubectl("get", "orders", "-n", NAMESPACE, "-o", "json"))["items"]
        replacing = sum(1 for order in orders if order["spec"].get("replaces"))
    finally:
        operator.terminate()
        operator.wait()
    print(f"{MINUTES:g} minutes: {made} handshakes, {sum(failures.values())} failed, {renewals} renewals, "
          f"least time left at one {'-' if least is None else f'{least:.0f} s'}; "
          f"{replacing} of the {len(orders)} Orders that are left say what they replace")
    for why, number in failures.items():
        print(f"  {number} x {why}")
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    sys.exit(1 if failures else 0)


main()
