#!/usr/bin/env python3
"""Measures `everleaf dev`: the time to the first served certificate, and the memory with many.

    tests/e2e/bench/dev.py target/release/everleaf [CERTIFICATES]

Needs kubectl. Every certificate comes by ACME, HTTP-01 included.
"""

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

BINARY = sys.argv[1]
COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 1000


def once():
    begun = time.monotonic()
    done = subprocess.run([BINARY, "dev", "--once"], capture_output=True, text=True, check=True)
    told = re.search(r"^ *([0-9.]+) s  verified", done.stdout, re.M).group(1)
    return float(told), time.monotonic() - begun


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kib = {name: int(re.search(name + r":\s+(\d+)", status).group(1)) for name in ("VmRSS", "VmHWM")}
    return ", ".join(f"{name} {value / 1024:.0f} MiB" for name, value in kib.items())


def certificate(number):
    return {"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
            "metadata": {"name": f"c{number}", "namespace": "demo"},
            "spec": {"secretName": f"c{number}", "dnsNames": [f"c{number}.example.test"],
                     "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
                     "issuerRef": {"name": "letsencrypt", "kind": "ClusterIssuer"}}}


def main():
    for _ in range(3):
        served, ended = once()
        print(f"served after {served:.2f} s, ended after {ended:.2f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        log = open(f"{folder}/log", "w")
        dev = subprocess.Popen([BINARY, "dev", "--keep", "--data", f"{folder}/data"], stdout=log)
        try:
            while "it stays up" not in pathlib.Path(f"{folder}/log").read_text():
                time.sleep(0.05)
            print("with one certificate:", memory(dev.pid), flush=True)
            kubectl = ["kubectl", "--kubeconfig", f"{folder}/data/kubeconfig"]
            whole = "\n".join(json.dumps(certificate(number)) for number in range(COUNT))
            begun = time.monotonic()
            apply = [*kubectl, "apply", "--server-side", "-f", "-"]
            subprocess.run(apply, input=whole, text=True, check=True, stdout=subprocess.DEVNULL)
            applied = time.monotonic() - begun
            subprocess.run([*kubectl, "wait", "-n", "demo", "--for=condition=Ready", "--all",
                            "certificates", "--timeout=900s"], check=True, stdout=subprocess.DEVNULL)
            took = time.monotonic() - begun
            print(f"{COUNT} applied after {applied:.0f} s, ready after {took:.0f} s:",
                  memory(dev.pid), flush=True)
            size = pathlib.Path(f"{folder}/data/cluster.json").stat().st_size
            print(f"cluster.json: {size / 1e6:.1f} MB")
        finally:
            dev.send_signal(signal.SIGINT)
            dev.wait()


main()
