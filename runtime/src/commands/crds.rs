//! `everleaf crds`: the CustomResourceDefinitions, as they are applied.

/// Prints every definition as YAML documents.
pub fn run() {
    let all = everleaf_api::crds();
    let documents = all.iter().map(|(_, yaml)| format!("---\n{}\n", yaml.trim_end()));
    super::print(&documents.collect::<String>());
}
