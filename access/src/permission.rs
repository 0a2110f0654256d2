use std::fmt;

use bytes::Bytes;
use proto::catalog::PermissionId;

/// The highest permission number that a set can hold; a bound on what a grant can make a reader allocate.
const MAX_ID: u32 = 8 * 1024 - 1;

/// A set of permissions: bit n, of byte n / 8 from the least significant, stands for permission n.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PermissionSet(Bytes);

/// The bits of a [`PermissionSet`], wherever they are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PermissionBits<'a>(&'a [u8]);

impl<'a> PermissionBits<'a> {
    /// These bits, as a set has them.
    #[must_use]
    pub fn new(bits: &'a [u8]) -> Self {
        Self(bits)
    }

    /// Whether a permission is among them.
    #[must_use]
    pub fn contains(self, id: PermissionId) -> bool {
        self.0.get(id.0 as usize / 8).is_some_and(|byte| byte & (1 << (id.0 % 8)) != 0)
    }
}

impl PermissionSet {
    /// Whether it holds a permission.
    #[must_use]
    pub fn contains(&self, id: PermissionId) -> bool {
        self.bits().contains(id)
    }

    /// Its bits.
    #[must_use]
    pub fn bits(&self) -> PermissionBits<'_> {
        PermissionBits(&self.0)
    }

    /// The permissions, by number.
    pub fn iter(&self) -> impl Iterator<Item = PermissionId> + '_ {
        (0..u32::try_from(self.0.len() * 8).unwrap_or(0)).map(PermissionId).filter(|id| self.contains(*id))
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|byte| *byte == 0)
    }

    /// The bits.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// A set by its bits; `None` where it is larger than any set can be.
    #[must_use]
    pub fn from_bytes(bits: Bytes) -> Option<Self> {
        (bits.len() <= (MAX_ID as usize + 1) / 8).then_some(Self(bits))
    }
}

impl FromIterator<PermissionId> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = PermissionId>>(ids: I) -> Self {
        let mut bits = Vec::new();
        for id in ids {
            debug_assert!(id.0 <= MAX_ID, "permission numbers end at {MAX_ID}");
            let byte = id.0 as usize / 8;
            if bits.len() <= byte {
                bits.resize(byte + 1, 0_u8);
            }
            bits[byte] |= 1 << (id.0 % 8);
        }
        Self(bits.into())
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|id| id.0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(ids: BTreeSet<u8>, asked: u16) {
            let set: PermissionSet = ids.iter().map(|id| PermissionId(u32::from(*id))).collect();
            let held: BTreeSet<u8> = set.iter().map(|id| u8::try_from(id.0).unwrap()).collect();
            prop_assert_eq!(&held, &ids);
            prop_assert_eq!(set.contains(PermissionId(u32::from(asked))), u8::try_from(asked).is_ok_and(|id| ids.contains(&id)));
            prop_assert_eq!(PermissionSet::from_bytes(set.to_bytes()), Some(set));
        }
    }

    #[test]
    fn a_set_larger_than_any_is_refused() {
        assert!(PermissionSet::from_bytes(vec![0; 1024].into()).is_some());
        assert!(PermissionSet::from_bytes(vec![0; 1025].into()).is_none());
    }
}
