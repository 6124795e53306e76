//! An OpenAPI document, to hold routes and answers against.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

/// The methods that a route can have here.
pub(crate) const METHODS: [Method; 5] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH];

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Document(pub(crate) Value);

/// An operation of a document.
#[derive(Clone, Copy)]
pub(crate) struct Operation<'d> {
    pub(crate) path: &'d str,
    pub(crate) method: &'d str,
    pub(crate) about: &'d Value,
}

impl Document {
    pub(crate) fn parse(text: &str) -> Self {
        let document: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        Self(document)
    }

    pub(crate) fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        let paths = self.0["paths"].as_object().expect("paths").iter();
        paths.flat_map(|(path, item)| {
            let methods = item.as_object().expect("a path").iter();
            methods.map(move |(method, about)| Operation { path, method, about })
        })
    }

    /// The operation that answers a request, if there is one.
    pub(crate) fn operation(&self, method: &Method, path: &str) -> Option<Operation<'_>> {
        let path = path.split('?').next().unwrap_or_default();
        let fits = |template: &str| {
            let (template, path) = (template.split('/'), path.split('/'));
            template.clone().count() == path.clone().count()
                && template.zip(path).all(|(t, p)| t == p || t.starts_with('{'))
        };
        // Of two that fit, the one with fewer parameters is it.
        self.operations()
            .filter(|o| o.method.eq_ignore_ascii_case(method.as_str()) && fits(o.path))
            .min_by_key(|o| o.path.matches('{').count())
    }

    /// The paths with their methods, as HTTP writes them.
    pub(crate) fn paths(&self) -> BTreeMap<&str, BTreeSet<String>> {
        let mut paths: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for operation in self.operations() {
            paths.entry(operation.path).or_default().insert(operation.method.to_uppercase());
        }
        paths
    }

    /// What the document says of an answer with this status. Panics if it says nothing.
    pub(crate) fn response(&self, method: &Method, path: &str, status: StatusCode) -> &Value {
        let operation = self.operation(method, path);
        let operation = operation.unwrap_or_else(|| panic!("{method} {path} is not there"));
        let response = &operation.about["responses"][status.as_str()];
        assert!(response.is_object(), "{method} {path}: {status} is not in the document");
        response
    }

    /// Panics unless this can be answered to a request of this path and method. What is answered
    /// anywhere is not looked at.
    pub(crate) fn check(&self, method: &str, path: &str, status: u16, text: &str) {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let anywhere = status == 403 || text.starts_with("there is no /");
        if anywhere || self.operation(&method, path).is_none() {
            return;
        }
        let status = StatusCode::from_u16(status).expect("a status");
        let content = &self.response(&method, path, status)["content"];
        match serde_json::from_str(text) {
            Ok(value) if content["application/json"].is_object() => {
                self.assert_valid(&content["application/json"]["schema"], &value, path);
            }
            _ => assert!(content["text/plain"].is_object(), "{method} {path}: {status} {text}"),
        }
    }

    /// Panics unless a value is as its schema says, without anything beside it.
    pub(crate) fn assert_valid(&self, schema: &Value, value: &Value, what: &str) {
        if *schema == any_object() {
            return assert!(value.is_object(), "{what}");
        }
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        schema["unevaluatedProperties"] = json!(false);
        let validator = jsonschema::draft202012::new(&schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {value} is not as its schema says: {errors:#?}");
    }

    /// Panics unless every body in JSON has an example, and all are as their schemas say. Gives how
    /// many there are.
    pub(crate) fn check_examples(&self) -> usize {
        let mut seen = 0;
        for Operation { path, method, about } in self.operations() {
            let responses = about["responses"].as_object().expect("responses").values();
            for body in responses.chain([&about["requestBody"]]) {
                let content = &body["content"]["application/json"];
                if content.is_null() || content["schema"] == any_object() {
                    continue;
                }
                let many = content["examples"].as_object().into_iter().flatten();
                let examples: Vec<_> =
                    many.map(|(_, e)| &e["value"]).chain(content.get("example")).collect();
                assert!(!examples.is_empty(), "{method} {path}: {content}");
                for example in examples {
                    self.assert_valid(&content["schema"], example, path);
                    seen += 1;
                }
            }
        }
        seen
    }
}

/// The schema of a body that is described elsewhere.
fn any_object() -> Value {
    json!({ "type": "object" })
}

/// The paths of a router, but for `/`, which its fallbacks have. It shows them only to who debugs it.
pub(crate) fn routed<S>(router: &Router<S>) -> BTreeSet<String> {
    let shown = format!("{router:?}");
    let texts = shown
        .split('"')
        .filter(|text| text.len() > 1 && text.starts_with('/') && !text.contains("{*"));
    texts.map(str::to_owned).collect()
}
