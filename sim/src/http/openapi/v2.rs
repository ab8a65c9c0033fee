//! OpenAPI v2 as kubectl asks for it, in protobuf (github.com/google/gnostic-models,
//! `openapiv2.Document`): so much of it that it finds for each kind that a patch may say how
//! unknown fields are handled. Without that, it validates nothing and applies no List.

use crate::apiserver::{ApiServer, ResourceDef};

/// The content type, as it is asked for and as it is answered.
pub(in super::super) const ASKED: &str =
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
pub(in super::super) const ANSWERED: &str =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A field of a message whose value has a length: a text or another message.
fn field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(value);
    out
}

/// The document of everything that is served.
pub(in super::super) fn document(server: &ApiServer) -> Vec<u8> {
    let items = server.resources().flat_map(|def| field(2, &path_item(def)));
    let paths: Vec<u8> = items.collect();
    let info = [field(1, b"Kubernetes"), field(2, b"v1.37.0")].concat();
    [field(1, b"2.0"), field(2, &info), field(8, &paths)].concat()
}

/// A path by its name, with the one operation that is looked for.
fn path_item(def: &ResourceDef) -> Vec<u8> {
    let path = super::path_of_one(def);
    let kind = format!("group: \"{}\"\nkind: {}\nversion: {}\n", def.group, def.kind, def.version);
    let kind = [field(1, b"x-kubernetes-group-version-kind"), field(2, &field(2, kind.as_bytes()))];
    let names = ["dryRun", "fieldManager", "fieldValidation", "force"];
    let parameters = names.iter().flat_map(|name| field(8, &parameter(name)));
    let mut operation: Vec<u8> = parameters.collect();
    operation.extend(field(13, &kind.concat()));
    [field(1, path.as_bytes()), field(2, &field(8, &operation))].concat()
}

fn parameter(name: &str) -> Vec<u8> {
    let query = [field(2, b"query"), field(4, name.as_bytes())].concat();
    field(1, &field(2, &field(3, &query)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_number_the_length_in_groups_of_seven_bits_and_the_value() {
        assert_eq!(field(1, b"2.0"), b"\n\x032.0");
        let long = field(13, &[7; 300]);
        assert_eq!((long.len(), &long[..4]), (303, &[0x6a, 0xac, 0x02, 7][..]));
    }
}
