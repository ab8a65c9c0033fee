#!/usr/bin/env python3
"""How long a CA issuer takes for N Certificates, what it costs, and what a restart costs.

    ca.py N PATH-TO-EVERLEAF

needs what measure.py needs. It makes the namespace `bench`, creates N Certificates (ECDSA P-256) while no
operator runs, starts one, waits until all are Ready, and prints the time, the operator's CPU and memory, and,
where TESTBED_AUDIT names an audit log, the API requests by verb and resource. Then it restarts the operator and
counts what it writes.
"""
import json, sys, time
from measure import NAMESPACE, WRITES, audit_end, audited, certificate, create_all, kubectl, operator, servers, stop, until_ready, used

COUNT, EVERLEAF, FLAGS = int(sys.argv[1]), sys.argv[2], ["--metrics-listen-address=0"]

kubectl("create", "namespace", NAMESPACE)
kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": {"name": "bench"}, "spec": {"selfSigned": {}}},
    certificate("ca", isCA=True, commonName="bench", duration="87600h", issuerRef={"name": "bench", "kind": "ClusterIssuer"}),
    {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "ca", "namespace": NAMESPACE}, "spec": {"ca": {"secretName": "ca"}}}]}))
process = operator(EVERLEAF, *FLAGS)
until_ready(1)
stop(process)
create_all(COUNT, "ca")

audit, before, begun, process = audit_end(), servers(), time.monotonic(), operator(EVERLEAF, *FLAGS)
until_ready(COUNT + 1)
seconds, spent = time.monotonic() - begun, servers() - before
time.sleep(10)  # Events are written behind.
cpu, resident, peak = used(process)
print(f"{COUNT} Certificates Ready after {seconds:.1f} s; CPU {cpu / COUNT * 1000:.2f} ms each; "
      f"{resident:.0f} MiB resident, {peak:.0f} MiB at the peak; API server and etcd {spent / COUNT * 1000:.1f} ms each")
for (verb, what), number in sorted((audited(audit) if audit else {}).items(), key=lambda kv: -kv[1])[:8]:
    print(f"  {verb:8} {what:30} {number:7}  {number / COUNT:.2f} each")
stop(process)

audit, process = audit_end(), operator(EVERLEAF, *FLAGS)
time.sleep(15)
cpu, resident, peak = used(process)
writes = sum(n for (verb, _), n in audited(audit).items() if verb in WRITES) if audit else "?"
print(f"restart: {writes} writes; CPU {cpu:.2f} s; {resident:.0f} MiB resident, {peak:.0f} MiB at the peak")
stop(process)
kubectl("delete", "namespace", NAMESPACE, "--wait=false")
