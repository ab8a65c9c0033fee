use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

struct File(std::path::PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("everleaf-kubeconfig-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn kubeconfig(context: &str, authority: &[u8]) -> String {
    let authority = STANDARD.encode(authority);
    format!(
        "apiVersion: v1\nkind: Config\n{context}\n\
         clusters:\n- name: c\n  cluster: {{server: https://127.0.0.1:1, \
         certificate-authority-data: {authority}}}\n\
         users:\n- {{name: u, user: {{token: t}}}}\n\
         contexts:\n- {{name: x, context: {{cluster: c, user: u}}}}\n"
    )
}

/// Why a kubeconfig cannot be used; it has to name the file.
async fn fault(name: &str, text: &str) -> String {
    let file = File::new(name, text);
    let refused = connect(Some(&file.0), None).await.err().expect("it cannot be used");
    assert_eq!(refused.exit_code(), 2);
    let refused = refused.to_string();
    let path = file.0.display().to_string();
    assert!(refused.starts_with(&path), "{refused}");
    refused[path.len() + 2..].to_owned()
}

#[tokio::test]
async fn an_authority_that_is_no_pem_is_found_before_tls_calls_the_server_untrusted() {
    let text = kubeconfig("current-context: x", b"this is no PEM");
    let said = fault("no-pem", &text).await;
    assert!(said.contains("holds no PEM; give certificate-authority-data"), "{said}");
}

#[tokio::test]
async fn an_authority_of_which_a_certificate_is_broken_is_refused() {
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let said = fault("broken", &kubeconfig("current-context: x", pem)).await;
    assert!(said.starts_with("certificate 1 of the cluster's certificate authority"), "{said}");
}

#[tokio::test]
async fn a_context_that_is_not_set_or_not_there_is_told_with_a_remedy() {
    let unset = fault("unset", &kubeconfig("", b"")).await;
    assert!(unset.contains("current-context is not set") && unset.contains("use-context"));
    let empty = fault("empty", &kubeconfig("current-context: ''", b"")).await;
    assert!(empty.contains("current-context is not set"), "{empty}");
    let missing = fault("missing", &kubeconfig("current-context: y", b"")).await;
    assert!(missing.contains("list that context under `contexts`"), "{missing}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named_once() {
    let path = std::env::temp_dir().join(format!("everleaf-no-such-{}", std::process::id()));
    let said = connect(Some(&path), None).await.err().expect("there is no file").to_string();
    assert_eq!(said.matches("everleaf-no-such").count(), 1, "{said}");
}
