//! The kubeconfig of the cluster, and what a newcomer may try with it.

use crate::ports;
use everleaf_nodes::effect::rfc3339;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const NAME: &str = "everleaf-dev";

/// The folder of the kubeconfig and of files to try; a temporary one goes with this.
pub(super) struct Guide {
    folder: PathBuf,
    temporary: bool,
}

impl Guide {
    /// Writes the kubeconfig into a folder, or else into one of this process.
    ///
    /// # Errors
    /// If that cannot be written.
    pub(super) fn write(folder: Option<&Path>, api: SocketAddr) -> std::io::Result<Self> {
        let own =
            || std::env::temp_dir().join(format!("{NAME}-{}-{}", std::process::id(), api.port()));
        let guide =
            Self { folder: folder.map_or_else(own, Path::to_owned), temporary: folder.is_none() };
        // One of our own is new and nobody else's: what is in it gets typed.
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(folder.is_some()).mode(0o700).create(&guide.folder)?;
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": NAME,
            "clusters": [{"name": NAME, "cluster": {"server": format!("http://{api}")}}],
            "users": [{"name": NAME, "user": {}}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        });
        std::fs::write(guide.kubeconfig(), format!("{config:#}\n"))?;
        Ok(guide)
    }

    /// Where the kubeconfig is.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Commands to try, each as it can be typed, with a Certificate that is served.
    ///
    /// # Errors
    /// If the files that they name cannot be written.
    pub(super) fn to_try(&self, leaf: &Value) -> std::io::Result<String> {
        let text = |path: &str| leaf.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let another = json!({
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": {"name": "another", "namespace": namespace},
            "spec": {
                "secretName": "another-tls",
                "dnsNames": ["another.example.test"],
                "privateKey": {"algorithm": "ECDSA", "rotationPolicy": "Always"},
                "issuerRef": leaf["spec"]["issuerRef"],
            },
        });
        // As `cmctl renew` does it.
        let renew = json!([{"op": "add", "path": "/status/conditions/-", "value": {
            "type": "Issuing", "status": "True", "reason": "ManuallyTriggered",
            "message": "Certificate re-issuance manually triggered",
            "lastTransitionTime": rfc3339(ports::now())}}]);
        let (another_at, renew_at) =
            (self.folder.join("another.yaml"), self.folder.join("renew.json"));
        std::fs::write(&another_at, format!("{another:#}\n"))?;
        std::fs::write(&renew_at, format!("{renew}\n"))?;
        let kubeconfig = quoted(&self.kubeconfig());
        let kubectl = format!("kubectl --kubeconfig {kubeconfig}");
        Ok(format!(
            "\nThe cluster is at {kubeconfig}. Try, in another terminal:\n\n  \
             {kubectl} get certificates,orders,secrets -A\n  \
             {} why certificate/{name} -n {namespace} --kubeconfig {kubeconfig}\n  \
             {kubectl} apply -f {}\n  \
             {kubectl} patch certificate {name} -n {namespace} --subresource=status --type=json \
             --patch-file {}\n\n",
            quoted(&program()),
            quoted(&another_at),
            quoted(&renew_at),
        ))
    }
}

impl Drop for Guide {
    fn drop(&mut self) {
        if self.temporary {
            // What is left of it is in the way of nobody.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// This program, from where it was started if it is below.
fn program() -> PathBuf {
    let path = std::env::current_exe().unwrap_or_else(|_| "everleaf".into());
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).map(Path::to_owned).unwrap_or(path)
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_where_a_shell_would_take_it_apart() {
        assert_eq!(quoted(Path::new("/tmp/a-b.c")), "/tmp/a-b.c");
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
