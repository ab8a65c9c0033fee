#!/usr/bin/env python3
"""Records what the operator and kubectl send to a real kube-apiserver.

    testbed exec python3 tests/e2e/recordings/record.py EVERLEAF > tests/e2e/recordings/requests.jsonl

A proxy stands between them and the server that KUBECONFIG names (with a token, as the test bed
has it). What only this server knows is written as a placeholder: ${uid:KIND/NAMESPACE/NAME} for a
UID, ${rv:...} for a resourceVersion, ${rv:list PATH} for a list's. Values of Secrets are replaced.
"""

import http.client
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

NAMESPACE = "recorded"
CONFIG = json.load(open(os.environ["KUBECONFIG"]))
SERVER = urllib.parse.urlsplit(CONFIG["clusters"][0]["cluster"]["server"])
TOKEN = CONFIG["users"][0]["user"]["token"]
LOCK = threading.Lock()
RECORD, UIDS, VERSIONS = [], {}, {}


def learn(value, path):
    """Remembers the identifiers that an answer gives to objects."""
    if not isinstance(value, dict):
        return
    for item in value.get("items") or []:
        learn({**item, "kind": value.get("kind", "").removesuffix("List")}, path)
    for row in value.get("rows") or []:
        learn(row.get("object"), path)
    meta = value.get("metadata") or {}
    if meta.get("uid"):
        name = f"{value.get('kind')}/{meta.get('namespace', '')}/{meta['name']}"
        # A Table's rows are of another kind; the object was met before under its own.
        if value.get("kind") != "PartialObjectMetadata":
            UIDS[meta["uid"]] = "${uid:%s}" % name
            VERSIONS[meta["resourceVersion"]] = "${rv:%s}" % name
    elif meta.get("resourceVersion"):
        VERSIONS.setdefault(meta["resourceVersion"], "${rv:list %s}" % path)


def held(value, key=""):
    """A body with placeholders."""
    if isinstance(value, dict):
        # A JSON patch names the field beside its value.
        patched = str(value.get("path", "")).rsplit("/", 1)[-1] if "op" in value else ""
        return {name: held(child, patched if name == "value" else name)
                for name, child in value.items()}
    if isinstance(value, list):
        return [held(child, key) for child in value]
    if isinstance(value, str):
        if key == "resourceVersion":
            return VERSIONS.get(value, value)
        for uid, name in UIDS.items():
            value = value.replace(uid, name)
    return value


def hidden(body):
    """No key of anybody is written down."""
    if isinstance(body, dict) and body.get("kind") == "Secret" or "stringData" in (body or {}):
        for field in ("data", "stringData"):
            for name in (body.get(field) or {}):
                body[field][name] = "dGVzdA=="
    if isinstance(body, dict):
        notes = (body.get("metadata") or {}).get("annotations") or {}
        notes.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return body


class Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        watch = ("watch", "true") in query or ("watch", "1") in query
        entry = self.entry(url.path, query, body)
        made_here = (self.command, url.path) == ("POST", "/api/v1/namespaces")
        relevant = f"/namespaces/{NAMESPACE}" in url.path or made_here
        if watch and relevant:
            with LOCK:
                RECORD.append(entry())
        upstream = http.client.HTTPSConnection(
            SERVER.hostname, SERVER.port, context=ssl._create_unverified_context())
        headers = {k: v for k, v in self.headers.items()
                   if k.lower() not in ("host", "accept-encoding", "connection")}
        headers["Authorization"] = f"Bearer {TOKEN}"
        upstream.request(self.command, self.path, body or None, headers)
        got = upstream.getresponse()
        self.send_response(got.status)
        self.send_header("content-type", got.headers.get("content-type", ""))
        if watch and got.status == 200:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for line in got:
                with LOCK:
                    learn(json.loads(line).get("object"), url.path)
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
            return
        with LOCK:
            made = entry() if relevant else None
            data = got.read()
            try:
                learn(json.loads(data), url.path)
            except ValueError:
                pass
            if made and not watch:
                made["status"] = got.status
                RECORD.append(made)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def entry(self, path, query, body):
        def make():
            asked = urllib.parse.urlencode([(k, held(v, k)) for k, v in query], safe="${}:/ ,=")
            out = {"by": self.headers.get("user-agent", "").split("/")[0],
                   "method": self.command, "path": path + ("?" + asked if asked else ""),
                   "accept": self.headers.get("accept", "*/*")}
            if body:
                out["content"] = self.headers.get("content-type", "")
                out["body"] = held(hidden(json.loads(body)))
            return out
        return make

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


def made(api, kind, name, **fields):
    meta = {"name": name, **fields.pop("meta", {})}
    if kind != "Namespace":
        meta["namespace"] = NAMESPACE
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
PATH = {"path": "/", "pathType": "Prefix", "backend": BACKEND}
NOTES = {"cert-manager.io/issuer": "ca", "cert-manager.io/private-key-algorithm": "ECDSA"}
ISSUER = "cert-manager.io/v1"


def objects(ports, settings):
    return [
        made("v1", "Namespace", NAMESPACE, meta={"labels": {"team": "a"}}),
        made("v1", "Service", "web", spec={"selector": {"app": "web"}, "ports": ports}),
        made("v1", "ConfigMap", "settings", data=settings),
        made("v1", "Secret", "password", data={"password": "dGVzdA=="}),
        made("discovery.k8s.io/v1", "EndpointSlice", "web-1", addressType="IPv4",
             endpoints=[{"addresses": ["10.1.2.3"]}], ports=[{"port": 8080}]),
        made("coordination.k8s.io/v1", "Lease", "leader", spec={"holderIdentity": "me"}),
        made(ISSUER, "Issuer", "selfsigned", spec={"selfSigned": {}}),
        made(ISSUER, "Certificate", "ca", spec={
            "isCA": True, "commonName": "CA", "secretName": "ca",
            "issuerRef": {"name": "selfsigned"}, "privateKey": {"algorithm": "ECDSA"}}),
        made(ISSUER, "Issuer", "ca", spec={"ca": {"secretName": "ca"}}),
        made("networking.k8s.io/v1", "Ingress", "web", meta={"annotations": NOTES}, spec={
            "tls": [{"hosts": ["web.example.test"], "secretName": "web-tls"}],
            "rules": [{"host": "web.example.test", "http": {"paths": [PATH]}}]}),
    ]


FIRST = objects([{"name": "http", "port": 80}, {"name": "more", "port": 81}],
                {"color": "red", "size": "large"})
CHANGED = objects([{"name": "new", "port": 82}, {"name": "http", "port": 80, "targetPort": 8080}],
                  {"color": "red"})


def main():
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    folder = tempfile.mkdtemp()
    kubeconfig = os.path.join(folder, "kubeconfig")
    cluster = {"server": f"http://127.0.0.1:{proxy.server_port}"}
    json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "a",
               "clusters": [{"name": "a", "cluster": cluster}], "users": [{"name": "a", "user": {}}],
               "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a",
                                                      "namespace": NAMESPACE}}]},
              open(kubeconfig, "w"))

    def kubectl(*arguments, text=None, env=None):
        command = ["kubectl", "--kubeconfig", kubeconfig, f"--cache-dir={folder}/cache", *arguments]
        done = subprocess.run(command, input=text, text=True, capture_output=True,
                              env={**os.environ, **(env or {})}, check=False)
        sys.stderr.write(done.stdout + done.stderr)

    def apply(items, *more):
        whole = {"apiVersion": "v1", "kind": "List", "items": items}
        kubectl("apply", "-f", "-", *more, text=json.dumps(whole))

    apply(FIRST[:1])
    operator = subprocess.Popen(
        [sys.argv[1], "operator", "--kubeconfig", kubeconfig, "--namespace", NAMESPACE,
         "--leader-election-namespace", NAMESPACE, "--metrics-listen-address=127.0.0.1:0",
         "--internal-healthz-listen-address=127.0.0.1:0"], stdout=sys.stderr, stderr=sys.stderr)
    try:
        apply(FIRST)
        for name in ("ca", "web-tls"):
            time.sleep(1)
            kubectl("wait", "--for=condition=Ready", f"certificate/{name}", "--timeout=60s")
        kinds = "namespaces,services,configmaps,secrets,endpointslices,leases,ingresses"
        for kind in kinds.split(",")[1:] + ["certificates", "certificaterequests", "issuers"]:
            kubectl("get", kind)
        kubectl("get", "certificates", "-o", "wide")
        kubectl("get", "service", "web", "-o", "json")
        for name in ("certificate/web-tls", "service/web", "secret/password", "cm/settings"):
            kubectl("describe", name)
        apply(CHANGED)
        apply(CHANGED, "--server-side", "--force-conflicts")
        kubectl("edit", "cm/settings", env={"KUBE_EDITOR": "sed -i s/red/blue/"})
        kubectl("annotate", "ingress/web", "a.test/b=c")
        kubectl("label", "service/web", "team=b")
        renew = [{"op": "add", "path": "/status/conditions/-", "value": {
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by hand",
            "lastTransitionTime": "2026-01-01T00:00:00Z"}}]
        kubectl("patch", "certificate/web-tls", "--subresource=status", "--type=json", "-p", json.dumps(renew))
        kubectl("wait", "--for=jsonpath={.status.revision}=2", "certificate/web-tls", "--timeout=60s")
        kubectl("get", "cm", "nosuch")
        kubectl("delete", "cm/settings", "secret/password", "lease/leader", "--timeout=30s")
    finally:
        operator.terminate()
        operator.wait()
        kubectl("delete", "namespace", NAMESPACE, "--timeout=60s")
    with LOCK:
        # The namespace's own end is left out: a model's and a controller's take their own time.
        kept = [one for one in RECORD if not (one["path"].startswith(f"/api/v1/namespaces/{NAMESPACE}?")
                                              and one["method"] == "DELETE")]
    last = next((at for at, one in enumerate(kept) if one["method"] == "DELETE"
                 and re.fullmatch(f"/api/v1/namespaces/{NAMESPACE}", one["path"])), len(kept))
    for one in kept[:last]:
        print(json.dumps(one, separators=(",", ":")))


main()
