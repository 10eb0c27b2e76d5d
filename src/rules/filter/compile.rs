//! From the text of an expression to something that can be evaluated.

use super::function::{BEGINS_WITH, BeginsWith};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DataFusionError, SchemaError, TableReference, plan_err};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::planner::ContextProvider;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion_sql::planner::{PlannerContext, SqlToRel};
use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::keywords::Keyword;
use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};
use std::sync::Arc;

/// The longest text of an expression, in bytes, lists written out.
pub const MAX_LENGTH: usize = 16_384;
/// How deep parentheses and `NOT`s may be nested.
const MAX_DEPTH: usize = 50;
/// The most keywords, operators and parentheses. A chain of operators is a tree as deep as it is long, and planning
/// walks it recursively; lists of values are not meant and may be long.
const MAX_OPERATORS: usize = 120;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is no SQL expression.
    #[error("this is no SQL expression: {message}")]
    Syntax {
        /// The parser's words.
        message: String,
    },
    /// A column that the rows do not have.
    #[error("a {of} has no column `{name}`")]
    UnknownColumn {
        /// What the rows are.
        of: &'static str,
        /// The name.
        name: String,
        /// All names.
        names: Vec<String>,
    },
    /// A function that filters do not know.
    #[error("filters have no function `{name}`; there is only `{BEGINS_WITH}(text, 'prefix', …)`")]
    UnknownFunction {
        /// The name.
        name: String,
    },
    /// Its value is not a truth value.
    #[error("this is no condition: its value is of type {kind}, not true or false")]
    NotACondition {
        /// The type.
        kind: String,
    },
    /// Its value is not a number.
    #[error("this is no number: its value is of type {kind}")]
    NotANumber {
        /// The type.
        kind: String,
    },
    /// It is too long.
    #[error("this is too long: more than {MAX_LENGTH} bytes with lists written out")]
    TooLong,
    /// It has too many parts.
    #[error(
        "this is too involved: more than {MAX_OPERATORS} keywords and operators; values may stand in lists, `IN (…)`"
    )]
    TooInvolved,
    /// There are too many.
    #[error("there are too many different filters over a {of}: the most are {most}")]
    TooMany {
        /// What the rows are.
        of: &'static str,
        /// The most.
        most: usize,
    },
    /// It cannot be compiled for another reason.
    #[error("this cannot be evaluated: {message}")]
    Unsupported {
        /// DataFusion's words.
        message: String,
    },
}

/// Compiles expressions over the columns of one type of row.
pub struct Compiler {
    of: &'static str,
    columns: Vec<(&'static str, DataType)>,
    schema: Arc<DFSchema>,
    context: Context,
}

impl Compiler {
    /// For rows with these columns.
    pub fn new(of: &'static str, columns: Vec<(&'static str, DataType)>) -> Self {
        let schema = schema(columns.iter().map(|(name, kind)| (*name, kind.clone())));
        let schema = DFSchema::try_from(schema).expect("the names of columns differ");
        Self { of, columns, schema: Arc::new(schema), context: Context::new() }
    }

    /// Parses, checks and simplifies a condition.
    pub fn parse(&self, sql: &str) -> Result<Expr, FilterError> {
        let expression = self.plan(sql)?;
        let kind = expression.get_type(self.schema.as_ref()).map_err(|error| self.error(&error))?;
        if kind != DataType::Boolean {
            return Err(FilterError::NotACondition { kind: kind.to_string() });
        }
        self.finish(expression)
    }

    /// Parses, checks and simplifies an expression whose value is a number; it is given as `Float64`.
    pub fn parse_number(&self, sql: &str) -> Result<Expr, FilterError> {
        let expression = self.plan(sql)?;
        let kind = expression.get_type(self.schema.as_ref()).map_err(|error| self.error(&error))?;
        if !kind.is_numeric() {
            return Err(FilterError::NotANumber { kind: kind.to_string() });
        }
        let number =
            expression.cast_to(&DataType::Float64, self.schema.as_ref()).map_err(|error| self.error(&error))?;
        self.finish(number)
    }

    fn plan(&self, sql: &str) -> Result<Expr, FilterError> {
        if sql.len() > MAX_LENGTH {
            return Err(FilterError::TooLong);
        }
        let syntax = |message: String| FilterError::Syntax { message };
        let dialect = GenericDialect {};
        let tokens = Tokenizer::new(&dialect, sql)
            .tokenize_with_location()
            .map_err(|error| syntax(words(&error.to_string())))?;
        if tokens.iter().filter(|token| is_operator(&token.token)).count() > MAX_OPERATORS {
            return Err(FilterError::TooInvolved);
        }
        let mut parser = Parser::new(&dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens);
        let ast = parser.parse_expr().map_err(|error| syntax(words(&error.to_string())))?;
        let rest = parser.next_token();
        if rest.token != Token::EOF {
            return Err(syntax(format!("expected the end, found: {}{}", rest.token, rest.span.start)));
        }
        let failed = |error: DataFusionError| self.error(&error);
        let expression =
            SqlToRel::new(&self.context).sql_to_expr(ast, &self.schema, &mut PlannerContext::new()).map_err(failed)?;
        self.simplifier().coerce(expression, &self.schema).map_err(failed)
    }

    fn simplifier(&self) -> ExprSimplifier {
        let info = SimplifyContext::builder()
            .with_schema(self.schema.clone())
            .with_config_options(self.context.options.clone())
            .build();
        ExprSimplifier::new(info)
    }

    fn finish(&self, expression: Expr) -> Result<Expr, FilterError> {
        let failed = |error: DataFusionError| self.error(&error);
        if expression.is_volatile() {
            return Err(FilterError::Unsupported { message: "its value differs from call to call".to_owned() });
        }
        let expression = self.simplifier().simplify(expression).map_err(failed)?;
        self.over(&expression, &self.schema).map_err(failed)?;
        Ok(expression)
    }

    /// The columns that an expression reads.
    pub fn columns_of(&self, expression: &Expr) -> Vec<&'static str> {
        let read = expression.column_refs();
        let names = self.columns.iter().map(|(name, _)| *name);
        names.filter(|name| read.iter().any(|column| column.name == *name)).collect()
    }

    /// Whether a column holds texts.
    pub fn is_text(&self, name: &str) -> bool {
        self.columns.iter().any(|(known, kind)| *known == name && *kind == DataType::Utf8)
    }

    /// The schema of a batch of just these columns.
    pub fn schema_of(&self, names: &[&'static str]) -> SchemaRef {
        let kind = |name: &str| self.columns.iter().find(|(known, _)| *known == name).map(|(_, kind)| kind.clone());
        Arc::new(schema(names.iter().filter_map(|name| kind(name).map(|kind| (*name, kind)))))
    }

    /// The expression over batches of a schema that has all columns it reads.
    pub fn tie(&self, expression: &Expr, schema: &SchemaRef) -> Arc<dyn PhysicalExpr> {
        let schema = DFSchema::try_from(schema.clone()).expect("the names of columns differ");
        self.over(expression, &schema).expect("it was checked over all columns")
    }

    fn over(&self, expression: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        create_physical_expr(expression, schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
    }

    fn error(&self, error: &DataFusionError) -> FilterError {
        let root = error.find_root();
        if let DataFusionError::SchemaError(schema, _) = root
            && let SchemaError::FieldNotFound { field, .. } = schema.as_ref()
        {
            let names = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
            return FilterError::UnknownColumn { of: self.of, name: field.name.clone(), names };
        }
        let message = words(&root.strip_backtrace());
        if let Some(rest) = message.split_once("Invalid function '").map(|(_, rest)| rest) {
            let name = rest.split('\'').next().unwrap_or_default().to_owned();
            return FilterError::UnknownFunction { name };
        }
        FilterError::Unsupported { message }
    }
}

/// Whether a token is neither a value nor a name nor between two of them.
fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => word.keyword != Keyword::NoKeyword,
        Token::Number(..) | Token::SingleQuotedString(_) | Token::Comma | Token::Whitespace(_) | Token::EOF => false,
        _ => true,
    }
}

fn schema<'a>(columns: impl Iterator<Item = (&'a str, DataType)>) -> Schema {
    Schema::new(columns.map(|(name, kind)| Field::new(name, kind, true)).collect::<Fields>())
}

/// A message without the names of the layers that it came through, on one line.
fn words(message: &str) -> String {
    let mut message = message;
    for prefix in ["sql parser error: ", "SQL error: ", "Error during planning: ", "ParserError: "] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let first = message.split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What expressions may name besides columns: one function.
struct Context {
    options: Arc<ConfigOptions>,
    begins_with: Arc<ScalarUDF>,
}

impl Context {
    fn new() -> Self {
        let mut options = ConfigOptions::default();
        // `100.5` is exact.
        options.sql_parser.parse_float_as_decimal = true;
        options.sql_parser.map_string_types_to_utf8view = false;
        Self { options: Arc::new(options), begins_with: Arc::new(ScalarUDF::from(BeginsWith::default())) }
    }
}

impl ContextProvider for Context {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>, DataFusionError> {
        plan_err!("filters cannot read tables such as {name}")
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        (name == BEGINS_WITH).then(|| self.begins_with.clone())
    }

    fn get_higher_order_meta(&self, _name: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, _name: &str) -> Option<Arc<AggregateUDF>> {
        None
    }

    fn get_window_meta(&self, _name: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _names: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.options
    }

    fn udf_names(&self) -> Vec<String> {
        vec![BEGINS_WITH.to_owned()]
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}
