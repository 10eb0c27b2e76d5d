//! `begins_with(text, 'A', 'B', …)`: whether a text begins with one of some prefixes.

use arrow::array::{ArrayRef, BooleanArray, Datum};
use arrow::compute::kernels::comparison::starts_with;
use arrow::compute::or_kleene;
use arrow::datatypes::DataType;
use datafusion_common::{Result, plan_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// The function; NULL where the text is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct BeginsWith {
    signature: Signature,
}

/// Its name in expressions.
pub const BEGINS_WITH: &str = "begins_with";

impl Default for BeginsWith {
    fn default() -> Self {
        Self { signature: Signature::variadic(vec![DataType::Utf8], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for BeginsWith {
    fn name(&self) -> &str {
        BEGINS_WITH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        if arguments.len() < 2 {
            return plan_err!("{BEGINS_WITH} wants a text and at least one prefix");
        }
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let mut values = arguments.args.into_iter();
        let Some(text) = values.next() else {
            return plan_err!("{BEGINS_WITH} wants a text");
        };
        let text: ArrayRef = text.into_array(rows)?;
        let mut result: Option<BooleanArray> = None;
        for prefix in values {
            let found = match prefix {
                ColumnarValue::Scalar(prefix) => compare(&text, &prefix.to_scalar()?)?,
                ColumnarValue::Array(prefix) => compare(&text, &prefix)?,
            };
            result = Some(match result {
                Some(before) => or_kleene(&before, &found)?,
                None => found,
            });
        }
        match result {
            Some(result) => Ok(ColumnarValue::Array(Arc::new(result))),
            None => plan_err!("{BEGINS_WITH} wants at least one prefix"),
        }
    }
}

fn compare(text: &ArrayRef, prefix: &dyn Datum) -> Result<BooleanArray> {
    Ok(starts_with(text, prefix)?)
}
