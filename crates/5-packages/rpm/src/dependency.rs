//! Dependencies: a capability, or a boolean expression of capabilities ("rich dependency").
//!
//! The grammar is rpm's (docs/manual/boolean_dependencies of rpm): `and`, `or` and `with` chain, `if` and `unless` take an
//! `else`, `without` has two operands. Operators of different kinds are nested in parentheses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::capability::InvalidCapability;
use crate::{Capability, Operator};

/// Limit of nested parentheses; rpm's own parser has none, and overflows its stack.
const DEEPEST: usize = 32;

/// A dependency of a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Dependency {
    /// `name`, `name >= version`, or the path of a file.
    Capability(Capability),
    /// `(a and b)`: all are fulfilled.
    And(Vec<Dependency>),
    /// `(a or b)`: at least one is fulfilled.
    Or(Vec<Dependency>),
    /// `(a with b)`: one package fulfils all.
    With(Vec<Dependency>),
    /// `(a without b)`: a package fulfils the first and not the second.
    Without(Box<[Dependency; 2]>),
    /// `(a if b)`, `(a if b else c)`: the first is fulfilled where the condition is, otherwise the alternative.
    If(Box<Conditional>),
    /// `(a unless b)`, `(a unless b else c)`: the first is fulfilled and the condition is not, or both the condition and
    /// the alternative are.
    Unless(Box<Conditional>),
}

/// Operands of `if` and `unless`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conditional {
    /// First operand.
    pub then: Dependency,
    /// Second operand, the condition.
    pub condition: Dependency,
    /// Operand of `else`.
    pub otherwise: Option<Dependency>,
}

impl Dependency {
    /// A dependency on a name, without a version.
    pub fn any(name: impl Into<String>) -> Self {
        Self::Capability(Capability::any(name))
    }

    /// Reads a dependency of an RPM's header, where an expression is the name.
    pub(crate) fn from_header(dependency: &rpm::Dependency) -> Result<Self, InvalidCapability> {
        if dependency.name.starts_with('(') {
            return dependency.name.parse();
        }
        Ok(Self::Capability(Capability::from_header(dependency)))
    }

    /// Returns the capability, if the dependency is not an expression.
    pub fn as_capability(&self) -> Option<&Capability> {
        match self {
            Self::Capability(capability) => Some(capability),
            _ => None,
        }
    }

    /// Returns all capabilities in the expression, from left to right.
    pub fn capabilities(&self) -> Vec<&Capability> {
        let mut found = Vec::new();
        self.visit(&mut |capability| found.push(capability));
        found
    }

    fn visit<'d>(&'d self, see: &mut impl FnMut(&'d Capability)) {
        match self {
            Self::Capability(capability) => see(capability),
            Self::And(operands) | Self::Or(operands) | Self::With(operands) => {
                operands.iter().for_each(|operand| operand.visit(see));
            }
            Self::Without(operands) => operands.iter().for_each(|operand| operand.visit(see)),
            Self::If(conditional) | Self::Unless(conditional) => {
                conditional.then.visit(see);
                conditional.condition.visit(see);
                if let Some(otherwise) = &conditional.otherwise {
                    otherwise.visit(see);
                }
            }
        }
    }

    /// Returns `true` if operands of `with` and `without` may have this form: a property of one package.
    fn is_about_one_package(&self) -> bool {
        match self {
            Self::Capability(_) => true,
            Self::With(operands) | Self::Or(operands) => operands.iter().all(Self::is_about_one_package),
            Self::Without(operands) => operands.iter().all(Self::is_about_one_package),
            Self::And(_) | Self::If(_) | Self::Unless(_) => false,
        }
    }
}

impl From<Capability> for Dependency {
    fn from(capability: Capability) -> Self {
        Self::Capability(capability)
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(capability) => capability.fmt(f),
            Self::And(operands) => chain(f, operands, "and"),
            Self::Or(operands) => chain(f, operands, "or"),
            Self::With(operands) => chain(f, operands, "with"),
            Self::Without(operands) => chain(f, operands.as_slice(), "without"),
            Self::If(conditional) => conditional.write(f, "if"),
            Self::Unless(conditional) => conditional.write(f, "unless"),
        }
    }
}

fn chain(f: &mut fmt::Formatter<'_>, operands: &[Dependency], word: &str) -> fmt::Result {
    for (place, operand) in operands.iter().enumerate() {
        match place {
            0 => write!(f, "({operand}")?,
            _ => write!(f, " {word} {operand}")?,
        }
    }
    f.write_str(")")
}

impl Conditional {
    fn write(&self, f: &mut fmt::Formatter<'_>, word: &str) -> fmt::Result {
        write!(f, "({} {word} {}", self.then, self.condition)?;
        match &self.otherwise {
            Some(otherwise) => write!(f, " else {otherwise})"),
            None => f.write_str(")"),
        }
    }
}

impl FromStr for Dependency {
    type Err = InvalidCapability;

    fn from_str(text: &str) -> Result<Self, InvalidCapability> {
        if !text.trim_start().starts_with('(') {
            return text.parse().map(Self::Capability);
        }
        let mut parser = Parser { rest: text, depth: 0 };
        let parsed = parser.expression().filter(|_| parser.rest.trim().is_empty());
        parsed.ok_or_else(|| InvalidCapability(text.to_owned()))
    }
}

impl TryFrom<String> for Dependency {
    type Error = InvalidCapability;

    fn try_from(text: String) -> Result<Self, InvalidCapability> {
        text.parse()
    }
}

impl From<Dependency> for String {
    fn from(dependency: Dependency) -> Self {
        dependency.to_string()
    }
}

/// Recursive descent over the text of an expression.
struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl<'t> Parser<'t> {
    /// Parses `(operand operator operand ...)`.
    fn expression(&mut self) -> Option<Dependency> {
        self.rest = self.rest.trim_start().strip_prefix('(')?;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let first = self.operand()?;
        let found = if self.closes() {
            // rpm takes `(a)` as `a`.
            first
        } else {
            let operator = self.word()?;
            self.operation(first, operator)?
        };
        self.depth -= 1;
        self.rest = self.rest.trim_start().strip_prefix(')')?;
        Some(found)
    }

    fn operation(&mut self, first: Dependency, operator: &str) -> Option<Dependency> {
        match operator {
            "and" => Some(Dependency::And(self.operands(first, operator)?)),
            "or" => Some(Dependency::Or(self.operands(first, operator)?)),
            "with" => {
                let operands = self.operands(first, operator)?;
                let fits = operands.iter().all(Dependency::is_about_one_package);
                fits.then_some(Dependency::With(operands))
            }
            "without" => {
                let operands = [first, self.operand()?];
                let fits = operands.iter().all(Dependency::is_about_one_package);
                fits.then(|| Dependency::Without(Box::new(operands)))
            }
            "if" => Some(Dependency::If(self.conditional(first)?)),
            "unless" => Some(Dependency::Unless(self.conditional(first)?)),
            _ => None,
        }
    }

    fn operands(&mut self, first: Dependency, operator: &str) -> Option<Vec<Dependency>> {
        let mut operands = vec![first, self.operand()?];
        while !self.closes() {
            if self.word()? != operator {
                return None;
            }
            operands.push(self.operand()?);
        }
        Some(operands)
    }

    fn conditional(&mut self, then: Dependency) -> Option<Box<Conditional>> {
        let condition = self.operand()?;
        let otherwise = if self.closes() {
            None
        } else {
            (self.word()? == "else").then_some(())?;
            Some(self.operand()?)
        };
        Some(Box::new(Conditional {
            then,
            condition,
            otherwise,
        }))
    }

    /// Parses an expression in parentheses, or a capability with an optional version.
    fn operand(&mut self) -> Option<Dependency> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            return self.expression();
        }
        let name = self.word()?.to_owned();
        let before = self.rest;
        let version = match self.word().and_then(Operator::of_sign) {
            Some(operator) => Some((operator, self.word()?.to_owned())),
            None => {
                self.rest = before;
                None
            }
        };
        Some(Dependency::Capability(Capability { name, version }))
    }

    fn closes(&self) -> bool {
        self.rest.trim_start().starts_with(')')
    }

    /// Takes the next word. Parentheses within a word are part of it where they are balanced: `libz.so.1()(64bit)`.
    fn word(&mut self) -> Option<&'t str> {
        let rest = self.rest.trim_start();
        let mut open = 0_usize;
        let end = rest.char_indices().find(|(_, letter)| match letter {
            '(' => {
                open += 1;
                false
            }
            ')' if open > 0 => {
                open -= 1;
                false
            }
            ')' => true,
            letter => letter.is_whitespace(),
        });
        let (word, rest) = rest.split_at(end.map_or(rest.len(), |(end, _)| end));
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_back() {
        for text in [
            "zlib >= 1.3",
            "libc.so.6(GLIBC_2.34)(64bit)",
            "(a or b)",
            "(a and b >= 1:2~rc1^git3 and /bin/sh)",
            "(libz.so.1()(64bit) or zlib(x86-64) = 1.3-1)",
            "(a if b)",
            "(a if b else (c or d))",
            "(a unless (b and c) else d)",
            "(python3dist(x) >= 1 with python3dist(x) < 2)",
            "((a or b) without c)",
        ] {
            assert_eq!(text.parse::<Dependency>().expect("a dependency").to_string(), text);
        }
        assert_eq!(
            "( a  or b )".parse::<Dependency>().expect("parsed").to_string(),
            "(a or b)"
        );
    }

    #[test]
    fn malformed_expressions_are_refused() {
        for text in [
            "(",
            "()",
            "(a or)",
            "(a or b",
            "(a or b) c",
            "(a or b and c)",
            "(a without b without c)",
            "((a and b) with c)",
            "((a if b) without c)",
            "(a xor b)",
            "(a if b otherwise c)",
            "(a >= )",
        ] {
            assert!(text.parse::<Dependency>().is_err(), "{text}");
        }
        let deep = "(".repeat(100_000);
        assert!(deep.parse::<Dependency>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[()a-c<>= andorifwthu/1~^.:-]{0,40}") {
            if let Ok(parsed) = text.parse::<Dependency>() {
                let again: Dependency = parsed.to_string().parse().expect("what is written can be read");
                prop_assert_eq!(again, parsed);
            }
        }
    }
}
