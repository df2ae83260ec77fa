//! Dependencies as clauses over packages (conjunctive normal form).

use crate::providers::Providers;
use crate::table::PackageNumber;
use basalt_rpm::{Dependency, Package};

/// Limit of the clauses of one dependency: an expression of a hostile repository must not exhaust the memory.
const MOST: usize = 1 << 16;

/// Clause: one of the candidates is installed, or one of the others is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DependencyClause {
    /// Packages of which one may fulfil the clause, the preferred one first.
    pub(crate) candidates: Vec<PackageNumber>,
    /// Packages whose absence fulfils the clause.
    pub(crate) absent: Vec<PackageNumber>,
}

/// Expression of packages in negation normal form.
enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// One of the packages is installed.
    Has(Vec<PackageNumber>),
    /// None of the packages is installed.
    HasNone(Vec<PackageNumber>),
}

/// Dependency whose clauses are too many.
#[derive(Debug)]
pub(crate) struct TooComplex;

/// Returns the clauses that hold exactly when a dependency is fulfilled.
pub(crate) fn clauses(
    dependency: &Dependency,
    providers: &Providers<'_, impl AsRef<Package>>,
) -> Result<Vec<DependencyClause>, TooComplex> {
    formula(dependency, true, providers).clauses()
}

/// Returns the clauses that hold exactly when a dependency is not fulfilled.
pub(crate) fn clauses_against(
    dependency: &Dependency,
    providers: &Providers<'_, impl AsRef<Package>>,
) -> Result<Vec<DependencyClause>, TooComplex> {
    formula(dependency, false, providers).clauses()
}

fn formula(dependency: &Dependency, holds: bool, providers: &Providers<'_, impl AsRef<Package>>) -> Formula {
    let of = |operand: &Dependency, holds: bool| formula(operand, holds, providers);
    let all = |operands: &[Dependency]| operands.iter().map(|operand| of(operand, holds)).collect();
    match (dependency, holds) {
        (Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_), true) => {
            Formula::Has(providers.of(dependency))
        }
        (Dependency::Capability(_) | Dependency::With(_) | Dependency::Without(_), false) => {
            Formula::HasNone(providers.of(dependency))
        }
        (Dependency::And(operands), true) | (Dependency::Or(operands), false) => Formula::All(all(operands)),
        (Dependency::Or(operands), true) | (Dependency::And(operands), false) => Formula::Any(all(operands)),
        // `a if c` is `a or not c`; `a if c else e` is that, and `e or c`. `unless` has the condition reversed, and
        // without `else` the condition must not be fulfilled.
        (Dependency::If(operands), _) => {
            let first = of(&operands.then, holds);
            match (&operands.otherwise, holds) {
                (None, true) => Formula::Any(vec![first, of(&operands.condition, false)]),
                (None, false) => Formula::All(vec![first, of(&operands.condition, true)]),
                (Some(otherwise), _) => Formula::All(vec![
                    Formula::Any(vec![first, of(&operands.condition, false)]),
                    Formula::Any(vec![of(otherwise, holds), of(&operands.condition, true)]),
                ]),
            }
        }
        (Dependency::Unless(operands), _) => {
            let first = of(&operands.then, holds);
            match (&operands.otherwise, holds) {
                (None, true) => Formula::All(vec![first, of(&operands.condition, false)]),
                (None, false) => Formula::Any(vec![first, of(&operands.condition, true)]),
                (Some(otherwise), _) => Formula::All(vec![
                    Formula::Any(vec![first, of(&operands.condition, true)]),
                    Formula::Any(vec![of(otherwise, holds), of(&operands.condition, false)]),
                ]),
            }
        }
    }
}

impl Formula {
    fn clauses(self) -> Result<Vec<DependencyClause>, TooComplex> {
        match self {
            Self::Has(candidates) => Ok(vec![DependencyClause {
                candidates,
                absent: Vec::new(),
            }]),
            Self::HasNone(packages) => {
                let clauses = packages.into_iter().map(|package| DependencyClause {
                    candidates: Vec::new(),
                    absent: vec![package],
                });
                Ok(clauses.collect())
            }
            Self::All(operands) => {
                let mut found = Vec::new();
                for operand in operands {
                    found.extend(operand.clauses()?);
                }
                if found.len() > MOST { Err(TooComplex) } else { Ok(found) }
            }
            Self::Any(operands) => {
                let mut found = vec![DependencyClause::default()];
                for operand in operands {
                    found = product(&found, &operand.clauses()?)?;
                }
                Ok(found)
            }
        }
    }
}

/// Returns the clauses of "one or the other", by the law of distribution.
fn product(one: &[DependencyClause], other: &[DependencyClause]) -> Result<Vec<DependencyClause>, TooComplex> {
    if one.len().saturating_mul(other.len()) > MOST {
        return Err(TooComplex);
    }
    let joined = |first: &[PackageNumber], second: &[PackageNumber]| {
        let mut all = first.to_vec();
        all.extend(second.iter().filter(|package| !first.contains(package)));
        all
    };
    let pairs = one
        .iter()
        .flat_map(|first| other.iter().map(move |second| (first, second)));
    let clauses = pairs.map(|(first, second)| DependencyClause {
        candidates: joined(&first.candidates, &second.candidates),
        absent: joined(&first.absent, &second.absent),
    });
    Ok(clauses.collect())
}
