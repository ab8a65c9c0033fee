//! A deserializer over JSON that compares the fields a type asks for with those that are there.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Error, Value};

/// What was seen while a type read a value.
#[derive(Default)]
pub struct Seen {
    /// Where type and value differ.
    pub faults: BTreeSet<String>,
    /// How many structs were read.
    pub structs: usize,
}

/// Watches one value being read.
pub struct Spy<'v> {
    value: &'v Value,
    seen: RefCell<Seen>,
}

impl<'v> Spy<'v> {
    pub fn new(value: &'v Value) -> Self {
        Self { value, seen: RefCell::default() }
    }

    pub fn at_root(&self) -> Node<'_, 'v> {
        Node { value: self.value, path: String::new(), spy: self }
    }

    pub fn finish(self) -> Seen {
        self.seen.into_inner()
    }
}

/// A value inside the watched one.
pub struct Node<'s, 'v> {
    value: &'v Value,
    path: String,
    spy: &'s Spy<'v>,
}

impl<'s, 'v> Node<'s, 'v> {
    fn child(&self, value: &'v Value, step: &str) -> Self {
        Self { value, path: format!("{}{step}", self.path), spy: self.spy }
    }

    fn compare(&self, fields: &[&str]) {
        let mut seen = self.spy.seen.borrow_mut();
        seen.structs += 1;
        let Some(object) = self.value.as_object().filter(|_| self.path != ".metadata") else {
            return;
        };
        let wanted: BTreeSet<&str> = fields.iter().copied().collect();
        let there: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        for field in wanted.difference(&there) {
            seen.faults.insert(format!("{}: only in the type: {field}", self.path));
        }
        for field in there.difference(&wanted) {
            seen.faults.insert(format!("{}: only in the schema: {field}", self.path));
        }
    }
}

impl<'de> Deserializer<'de> for Node<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Number(n) => visitor.visit_i64(n.as_i64().ok_or(Error::custom("number"))?),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items, next: 0, node: self }),
            Value::Object(map) => {
                let entries = map.iter().map(|(k, v)| (k.as_str(), v)).collect::<Vec<_>>();
                visitor.visit_map(Entries { entries, next: 0, node: self })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.compare(fields);
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value.clone().deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'s, 'v> {
    items: &'v [Value],
    next: usize,
    node: Node<'s, 'v>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(item) = self.items.get(self.next) else { return Ok(None) };
        let step = format!("[{}]", self.next);
        self.next += 1;
        seed.deserialize(self.node.child(item, &step)).map(Some)
    }
}

struct Entries<'s, 'v> {
    entries: Vec<(&'v str, &'v Value)>,
    next: usize,
    node: Node<'s, 'v>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        seed.deserialize((*key).to_owned().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, value) = self.entries[self.next];
        self.next += 1;
        seed.deserialize(self.node.child(value, &format!(".{key}")))
    }
}
