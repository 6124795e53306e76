//! Bodies and queries that nobody has a use for.

use std::env;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};
use serde_json::{Map, Value, json};

/// Made-up fields, and good ones that go beside them.
type Keyed = (Vec<(String, Value)>, Vec<(&'static str, &'static str)>);

/// JSON of any shape whose objects have these keys among others, good values of which are here; and
/// text that is no JSON any more.
pub(crate) fn bodies(
    good: &'static [(&'static str, &'static str)],
) -> impl Strategy<Value = String> {
    let text = value(good).prop_map(|value| value.to_string()).boxed();
    let spoilt = (text.clone(), any::<usize>(), "\\PC{0,6}").prop_map(|(text, at, put)| {
        let mut characters: Vec<char> = text.chars().collect();
        let at = at % (characters.len() + 1);
        let end = (at + put.len() / 2).min(characters.len());
        characters.splice(at..end, put.chars());
        characters.into_iter().collect()
    });
    prop_oneof![4 => text, 2 => spoilt, 1 => "\\PC{0,40}", 1 => Just("[".repeat(5_000))]
}

fn value(good: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        "\\PC{0,20}".prop_map(Value::from),
        select(good).prop_map(|(_, value)| Value::from(value)),
    ];
    let keyed = |(pairs, good): Keyed| {
        let good = good.into_iter().map(|(key, value)| (key.to_owned(), Value::from(value)));
        good.chain(pairs).collect::<Map<_, _>>().into()
    };
    leaf.prop_recursive(3, 24, 4, move |inner| {
        let key =
            prop_oneof![3 => select(good).prop_map(|(key, _)| key.to_owned()), 1 => "\\PC{0,8}"];
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => (vec((key, inner), 0..3), vec(select(good), 0..4)).prop_map(keyed),
        ]
    })
}

/// A query of these names, with values of any kind.
pub(crate) fn queries(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let value = prop_oneof![
        "[0-9]{1,22}",
        "-?[0-9a-fx]{0,70}",
        "(%[0-9a-f]{2}){0,9}",
        "[ -~&&[^#&=?% ]]{0,20}"
            .prop_map(|text| text.replace(['"', '<', '>', '\\', '^', '`', '{', '|', '}'], "")),
        Just("true".to_owned()),
    ];
    vec((select(names), value), 0..4).prop_map(|pairs| {
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    })
}

/// Runs a test on this many inputs, made from `SEED` (a number; 1 unless given).
pub(crate) fn each<S: Strategy>(cases: u32, inputs: &S, test: impl Fn(S::Value) -> TestCaseResult) {
    let seed = env::var("SEED").map_or(1, |text| text.parse::<u64>().expect("a number"));
    println!("SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    if let Err(failed) = TestRunner::new_with_rng(config, random).run(inputs, test) {
        panic!("{failed}");
    }
}
