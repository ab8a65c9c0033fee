//! All objects of a server as one value, for a process that ends and goes on later.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::ApiServer;

/// Definitions are those of the build that reads it, and are not kept.
const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Why a server cannot go on from what was saved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// It is not what [`ApiServer::save`] gives.
    #[error("it does not hold a cluster: {0}")]
    Malformed(String),
    /// A kind is not served (any more).
    #[error("it holds objects of {0}, which are not served")]
    Unknown(String),
}

impl ApiServer {
    /// The objects by resource, and the version they have got to. Logs and open watches are not
    /// part of it: whoever watched lists again.
    pub fn save(&self) -> Value {
        let tables = self.store.tables().filter(|(resource, _)| *resource != DEFINITIONS);
        let objects = tables.map(|(resource, table)| {
            let all: Vec<Value> = table.objects.values().map(|o| Value::clone(o)).collect();
            (resource.clone(), Value::Array(all))
        });
        json!({"version": self.store.version, "objects": objects.collect::<Map<_, _>>()})
    }

    /// Takes over what was saved, over what is there; older versions are gone for watches. Give
    /// such a server another seed than the one before: UIDs of one seed are drawn again.
    ///
    /// # Errors
    /// If it is not understood; then nothing was changed.
    pub fn restore(&mut self, saved: &Value) -> Result<(), RestoreError> {
        let malformed = |what: &str| RestoreError::Malformed(what.to_owned());
        let version = saved["version"].as_u64().ok_or_else(|| malformed("no version"))?;
        let tables = saved["objects"].as_object().ok_or_else(|| malformed("no objects"))?;
        let mut read = Vec::new();
        for (resource, objects) in tables {
            if !self.defs.contains_key(resource) {
                return Err(RestoreError::Unknown(resource.clone()));
            }
            let objects = objects.as_array().ok_or_else(|| malformed(resource))?;
            for object in objects {
                let key = key_of(object, version).ok_or_else(|| malformed(resource))?;
                read.push((resource, key, Arc::new(object.clone())));
            }
        }
        for (resource, key, object) in read {
            self.store.load(resource, key, object);
        }
        self.store.version = self.store.version.max(version) + 1;
        self.store.compact(self.store.version);
        self.unsettled = true;
        Ok(())
    }
}

/// Where an object is stored, if it has what every stored object has.
fn key_of(object: &Value, newest: u64) -> Option<super::Key> {
    let meta = &object["metadata"];
    let version: u64 = meta["resourceVersion"].as_str()?.parse().ok()?;
    let whole = version <= newest && meta["uid"].is_string();
    let namespace = meta["namespace"].as_str().unwrap_or_default();
    whole.then_some((namespace.to_owned(), meta["name"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::{Config, Request};

    fn server(seed: u64) -> ApiServer {
        ApiServer::new(Config { seed, ..Config::default() }).expect("nothing to read")
    }

    #[test]
    fn a_server_goes_on_where_another_was_saved() {
        let mut first = server(1);
        let secret = json!({"metadata": {"name": "a"}, "data": {"k": "dg=="}});
        assert!(first.handle(0, &Request::create("secrets", "default", secret)).is_success());
        let mut second = server(2);
        second.restore(&first.save()).expect("it was saved");
        let kept = second.peek("secrets", "default", "a").expect("it is there");
        assert_eq!(Some(kept), first.peek("secrets", "default", "a"));
        let namespace = |server: &ApiServer| server.peek("namespaces", "", "default");
        assert_eq!(namespace(&first), namespace(&second), "the same namespace, not a new one");
        let config = json!({"metadata": {"name": "b"}});
        let made = second.handle(0, &Request::create("configmaps", "default", config));
        let version: u64 = made.body["metadata"]["resourceVersion"]
            .as_str()
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        assert!(version > first.version(), "versions never go back");
        let mut watch = Request::list("secrets", "default");
        watch.options.resource_version = "3".to_owned();
        let mut open = second.open_watch(0, &watch).expect("it opens");
        assert_eq!(second.poll_watch(0, &mut open)[0].object["code"], 410, "list again");
    }

    #[test]
    fn what_is_no_saved_server_changes_nothing() {
        let whole = server(1).save();
        let mut broken =
            vec![json!({}), json!({"version": 1}), json!({"version": 1, "objects": []})];
        for (name, value) in
            [("things.example.com", json!([])), ("secrets", json!({})), ("secrets", json!([{}]))]
        {
            let mut saved = whole.clone();
            saved["objects"][name] = value;
            broken.push(saved);
        }
        let mut server = server(2);
        let before = server.save();
        for saved in broken {
            assert!(server.restore(&saved).is_err(), "{saved}");
            assert_eq!(server.save(), before);
        }
    }
}
