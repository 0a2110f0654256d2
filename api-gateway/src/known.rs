use std::ops::Range;
use std::time::Duration;

use access::lease::{Memorable, Statement};
use access::{
    AccountId, Claims, Confinement, CredentialId, GrantedKind, PermissionBits, PermissionSet, Revision, Rights,
};
use memchr::memmem;
use proto::Failure;
use tonic::metadata::BinaryMetadataValue;

use crate::authority::Introspected;

/// A grant is not used in the last part of its time: the clock of the service that executes may be ahead.
const MARGIN: Duration = Duration::from_secs(5);

/// What is remembered of a credential that is alive. There are many: it takes as little room as it can.
pub(crate) struct Known {
    number: i64,
    account: AccountId,
    as_of: Revision,
    /// In microseconds of the holder's clock, as the next.
    aging_at: u64,
    usable_until: u64,
    /// Nothing where it is confined to nothing, as most are.
    confinement: Option<Box<Confinement>>,
    grant: Box<[u8]>,
    /// Where in the grant the permissions stand: they are kept once.
    permissions: Range<u16>,
    kind: GrantedKind,
    administrator: bool,
}

impl Known {
    pub(crate) fn new(introspected: Introspected, asked_at: Duration) -> Result<Self, Failure> {
        let Introspected { claims, grant, left } = introspected;
        let usable = left.saturating_sub(MARGIN.min(left / 4));
        let Claims { credential, account, administrator, permissions, confinement, as_of, .. } = claims;
        Ok(Self {
            number: credential.number,
            account,
            as_of,
            aging_at: micros(asked_at + usable / 2),
            usable_until: micros(asked_at + usable),
            confinement: (!confinement.is_none()).then(|| Box::new(confinement)),
            permissions: place(&permissions, &grant)
                .ok_or_else(|| Failure::internal("the authority's claims are not those of its grant"))?,
            // A copy: what is remembered must not keep the whole answer that it came in.
            grant: Box::from(&*grant),
            kind: credential.kind,
            administrator,
        })
    }

    /// The grant, as a call carries it.
    pub(crate) fn grant(&self) -> BinaryMetadataValue {
        let mut grant = BinaryMetadataValue::from_bytes(&self.grant);
        grant.set_sensitive(true);
        grant
    }

    pub(crate) fn credential(&self) -> CredentialId {
        CredentialId { kind: self.kind, number: self.number }
    }

    pub(crate) fn confinement(&self) -> &Confinement {
        self.confinement.as_deref().unwrap_or(const { &Confinement::NONE })
    }

    pub(crate) fn rights(&self) -> Rights<'_> {
        let bits = &self.grant[usize::from(self.permissions.start)..usize::from(self.permissions.end)];
        Rights { kind: self.kind, administrator: self.administrator, permissions: PermissionBits::new(bits) }
    }
}

impl Memorable for Known {
    fn statement(&self) -> Statement {
        Statement { credential: self.credential(), account: self.account, as_of: self.as_of }
    }

    fn aging_at(&self) -> Duration {
        Duration::from_micros(self.aging_at)
    }

    fn usable_until(&self) -> Duration {
        Duration::from_micros(self.usable_until)
    }

    fn size(&self) -> usize {
        let confinement = self.confinement.as_ref().map_or(0, |confined| size_of::<Confinement>() + confined.size());
        size_of::<Self>() + self.grant.len() + confinement
    }
}

/// Where a grant says these permissions.
fn place(permissions: &PermissionSet, grant: &[u8]) -> Option<Range<u16>> {
    let bits = permissions.to_bytes();
    let start = memmem::find(grant, &bits)?;
    Some(u16::try_from(start).ok()?..u16::try_from(start + bits.len()).ok()?)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use access::SigningKey;
    use jiff::Timestamp;
    use proto::catalog::PermissionId;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn claims(permissions: &[u32], confinement: Confinement) -> Claims {
        let issued_at = Timestamp::from_second(1_000).unwrap();
        Claims {
            credential: CredentialId { kind: GrantedKind::Token, number: 7 },
            account: AccountId(3),
            administrator: false,
            permissions: permissions.iter().copied().map(PermissionId).collect(),
            confinement,
            audience: "environment-service".to_owned(),
            issued_at,
            expires_at: issued_at + Duration::from_secs(60),
            as_of: Revision(42),
            credential_expires_at: None,
            superseded: false,
        }
    }

    fn known(claims: Claims, grant: Vec<u8>) -> Result<Known, Failure> {
        let introspected = Introspected { claims, grant: grant.into(), left: Duration::from_secs(60) };
        Known::new(introspected, Duration::from_secs(10))
    }

    fn signed(claims: &Claims) -> Vec<u8> {
        SigningKey::generate(&mut StdRng::seed_from_u64(1)).sign(claims)
    }

    #[test]
    fn nothing_of_what_was_said_is_lost() {
        let confinement = Confinement { environments: vec!["staging-*".parse().unwrap()], networks: Vec::new() };
        for (permissions, confinement) in
            [(&[][..], Confinement::NONE), (&[0], Confinement::NONE), (&[3, 90, 310], confinement)]
        {
            let claims = claims(permissions, confinement);
            let known = known(claims.clone(), signed(&claims)).unwrap();
            assert_eq!(known.statement(), Statement::from(&claims));
            assert_eq!((known.rights(), known.confinement()), (claims.rights(), &claims.confinement));
            assert_eq!(known.grant().to_bytes().unwrap(), signed(&claims));
            assert_eq!((known.aging_at().as_secs_f64(), known.usable_until().as_secs()), (37.5, 65));
        }
    }

    #[test]
    fn permissions_that_the_grant_does_not_have_are_none() {
        let more = claims(&[3, 90], Confinement::NONE);
        let failure = known(more, signed(&claims(&[3], Confinement::NONE))).err().unwrap();
        assert_eq!(failure.kind(), proto::ErrorKind::Internal);
    }
}
