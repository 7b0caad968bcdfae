//! Arguments of Jinja's filters, which may come by place or by name, and the filters whose engine takes them one way
//! only.

use minijinja::{
    Error, ErrorKind, State, Value, filters,
    value::{Kwargs, Rest, Tuple, ValueKind},
};

use super::{fault, formats, printed};

/// The arguments of a filter by the names Jinja gives them, however they were passed.
pub fn bind<const N: usize>(
    args: &Rest<Value>,
    kwargs: &Kwargs,
    names: [&str; N],
) -> Result<[Option<Value>; N], Error> {
    if args.len() > N {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let mut bound = [const { None }; N];
    for (place, name) in names.into_iter().enumerate() {
        bound[place] = match args.get(place) {
            Some(value) => Some(value.clone()),
            None => kwargs.get::<Option<Value>>(name)?,
        };
    }
    kwargs.assert_all_used()?;
    Ok(bound)
}

/// A bound argument that Python would take for true.
pub fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(Value::is_true)
}

/// Those that were passed, by name.
fn named<const N: usize>(names: [&str; N], values: [Option<Value>; N]) -> Kwargs {
    let given = names.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
    // A place in a list is a path of one step.
    let step =
        |name, value: Value| if name == "attribute" && value.is_integer() { value.to_string().into() } else { value };
    given.map(|(name, value)| (name, step(name, value))).collect()
}

pub fn default(value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let [other, boolean] = bind(&args, &kwargs, ["default_value", "boolean"])?;
    let missing = value.is_undefined() || (is_set(boolean.as_ref()) && !value.is_true());
    Ok(if missing { other.unwrap_or_else(|| Value::from("")) } else { value })
}

pub fn sort(state: &State<'_, '_>, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let names = ["reverse", "case_sensitive", "attribute"];
    filters::sort(state, value, named(names, bind(&args, &kwargs, names)?))
}

pub fn dictsort(value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let names = ["case_sensitive", "by", "reverse"];
    filters::dictsort(&value, named(names, bind(&args, &kwargs, names)?))
}

pub fn unique(state: &State<'_, '_>, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let names = ["case_sensitive", "attribute"];
    filters::unique(state, value, named(names, bind(&args, &kwargs, names)?))
}

pub fn min(state: &State<'_, '_>, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let names = ["case_sensitive", "attribute"];
    filters::min(state, value, named(names, bind(&args, &kwargs, names)?))
}

pub fn max(state: &State<'_, '_>, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let names = ["case_sensitive", "attribute"];
    filters::max(state, value, named(names, bind(&args, &kwargs, names)?))
}

/// `join`, each item as Python prints it.
pub fn join(state: &State<'_, '_>, value: Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let [between, attribute] = bind(&args, &kwargs, ["d", "attribute"])?;
    let between = between.map_or_else(String::new, |between| between.to_string());
    let mut joined = String::new();
    for (place, item) in value.try_iter()?.enumerate() {
        let item = match attribute.as_ref().and_then(Value::as_str) {
            Some(path) => path.split('.').try_fold(item, |item, key| item.get_attr(key))?,
            None => item,
        };
        let text = printed::string(state, &item)?.to_string();
        // Both may be long, and the items many.
        state.consume_fuel(1 + (between.len() + text.len()) as u64 / 64)?;
        if place > 0 {
            joined.push_str(&between);
        }
        joined.push_str(&text);
    }
    Ok(joined)
}

/// Python's `%`: what is left of it decides whether it formats or divides.
pub fn percent(state: &mut State<'_, '_>, left: Value, right: Value) -> Result<Value, Error> {
    if left.as_str().is_some() {
        let args = match right.kind() {
            ValueKind::Map => vec![entries(&right)?.into_iter().collect::<Kwargs>().into()],
            ValueKind::Seq if right.downcast_object_ref::<Tuple>().is_some() => right.try_iter()?.collect(),
            _ => vec![right],
        };
        return formats::percent(state, &left, args);
    }
    let whole = |value: &Value| i128::try_from(value.clone()).ok().filter(|_| value.is_integer() || is_truth(value));
    let zero = || fault("division by zero");
    if let (Some(a), Some(b)) = (whole(&left), whole(&right)) {
        // The sign is the divisor's.
        return match a.checked_rem(b) {
            Some(rest) if rest != 0 && (rest < 0) != (b < 0) => Ok(integer(rest + b)),
            Some(rest) => Ok(integer(rest)),
            None if b == 0 => Err(zero()),
            None => Ok(Value::from(0)),
        };
    }
    let (a, b) = (f64::try_from(left)?, f64::try_from(right)?);
    if b == 0.0 {
        return Err(zero());
    }
    let rest = a % b;
    Ok(Value::from(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }))
}

fn entries(map: &Value) -> Result<Vec<(String, Value)>, Error> {
    map.try_iter()?.map(|key| Ok((key.to_string(), map.get_item(&key)?))).collect()
}

fn integer(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| value.into(), Value::from)
}

fn is_truth(value: &Value) -> bool {
    value.kind() == ValueKind::Bool
}

/// Whatever can be gone through: not what is missing on purpose, `none`.
pub fn is_iterable(value: &Value) -> bool {
    matches!(
        value.kind(),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::String | ValueKind::Undefined
    )
}

/// Functions and macros, and in Jinja also what is undefined.
pub fn is_callable(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Plain | ValueKind::Undefined => true,
        // A macro shows itself as a map of its name, its arguments and whether it is called with a block.
        ValueKind::Map => value.len() == Some(3) && value.to_string().starts_with("<macro "),
        _ => false,
    }
}
