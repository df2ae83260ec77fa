//! Requests that leave nothing to choose: the requirements of their packages, followed without a solver.

use std::collections::BTreeSet;

use basalt_rpm::{Dependency, Package};

use crate::providers::Providers;
use crate::request::Request;
use crate::table::PackageNumber;

impl<P: AsRef<Package>> Providers<'_, P> {
    /// Returns the only candidate for a request; none for expressions, and where packages replace others.
    fn only_requested(&self, request: &Request) -> Option<PackageNumber> {
        let wanted = request.dependency.as_capability()?;
        let name = self.index().names.get(&wanted.name).copied();
        self.only(wanted, name).filter(|_| request.replacements.is_empty())
    }

    /// Returns the set that fulfils the requests where nothing is to be chosen: every requirement is a capability with
    /// one provider, and no package excludes or replaces another. A distribution's own packages are nearly always so,
    /// and thousands of them are resolved at each start; all other requests are left to the solver.
    pub(crate) fn only_solution(&self, requests: &[Request]) -> Option<BTreeSet<PackageNumber>> {
        let mut chosen = BTreeSet::new();
        let mut looked_up = self.index().required.filled(false);
        // Of two packages of one name, only one can be installed.
        let mut has_name = self.index().by_name.filled(false);
        let requested = requests.iter().map(|request| self.only_requested(request));
        let mut rest: Vec<PackageNumber> = requested.collect::<Option<_>>()?;
        while let Some(position) = rest.pop() {
            if !chosen.insert(position) {
                continue;
            }
            if std::mem::replace(&mut has_name[self.index().own_names[position]], true) {
                return None;
            }
            for &number in &self.index().requires[position] {
                if !std::mem::replace(&mut looked_up[number], true) {
                    let (wanted, name) = &self.index().required[number];
                    rest.push(self.only(wanted.as_capability()?, *name)?);
                }
            }
        }
        (!chosen.iter().any(|position| self.excludes(*position, &chosen))).then_some(chosen)
    }

    /// Returns `true` if a package excludes one of the chosen ones. Expressions count as such: the solver looks at them.
    fn excludes(&self, position: PackageNumber, chosen: &BTreeSet<PackageNumber>) -> bool {
        let conflicts = |excluded: &Dependency| match excluded.as_capability() {
            Some(excluded) => {
                let hit = self.of_capability(excluded).into_iter();
                hit.filter(|hit| *hit != position).any(|hit| chosen.contains(&hit))
            }
            None => true,
        };
        self.package(position).conflicts.iter().any(conflicts)
            || self.obsoleted_by(position).iter().any(|hit| chosen.contains(hit))
    }
}
