//! Writing Certificates that an Ingress asks for.

use super::{Done, Ports, Report, owner_reference, undone};
use crate::edge::{meta_of, version};
use everleaf_engine::{FailureClass, ObjectKey};
use everleaf_nodes::{Base, Effect, Kind};
use serde_json::{Value, json};
use std::sync::Arc;

fn parsed(text: &str) -> Result<Value, super::Undone> {
    serde_json::from_str(text)
        .map_err(|error| Report::failed(FailureClass::Invalid, "Malformed", error.to_string()))
}

impl Ports {
    pub(super) async fn create_certificate(&self, effect: &Effect, object: &str) -> Done {
        let namespace = &effect.subject.namespace;
        let mut object = parsed(object)?;
        object["metadata"]["namespace"] = json!(namespace);
        object["metadata"]["ownerReferences"] = json!([owner_reference(effect)]);
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let at = ObjectKey::new(Kind::Certificate, namespace.clone(), name);
        let made =
            self.kube.create(Kind::Certificate, namespace, &object, super::events::MANAGER).await;
        match made {
            Ok(made) => Ok(self.saw(Kind::Certificate, &made, vec![at])),
            Err(error) if error.is_taken() => Err(Report::stale(vec![at])),
            Err(error) => Err(undone(&error, &[at])),
        }
    }

    pub(super) async fn update_certificate(
        &self,
        effect: &Effect,
        (name, base): (&Arc<str>, &Base),
        object: &str,
    ) -> Done {
        let namespace = &effect.subject.namespace;
        let at = ObjectKey::new(Kind::Certificate, namespace.clone(), name.clone());
        let wanted = parsed(object)?;
        let found = self.kube.get(Kind::Certificate, namespace, name).await;
        let mut found = found.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        let meta = meta_of(&found);
        if *meta.uid != *base.uid || version(&meta) != base.rv {
            return Err(Report::stale(vec![at]));
        }
        found["spec"] = wanted["spec"].clone();
        found["metadata"]["labels"] = wanted["metadata"]["labels"].clone();
        if let Some(Value::Object(ours)) = wanted["metadata"].get("annotations") {
            for (key, value) in ours {
                found["metadata"]["annotations"][key] = value.clone();
            }
        }
        let written = self.kube.replace(Kind::Certificate, (namespace, name), &found).await;
        let written = written.map_err(|error| undone(&error, std::slice::from_ref(&at)))?;
        Ok(self.saw(Kind::Certificate, &written, vec![at]))
    }
}
