//! Writing, reading, listing and deleting roles.

use std::sync::Arc;

use crate::ca::role::{Role, RoleFields, RoleKey};
use crate::ca::time::Timestamp;
use crate::engine::pki::Pki;
use crate::engine::{Failure, retry_on_conflict};
use crate::store::{Batch, key};

impl Pki {
    /// Creates or replaces a role; returns it with warnings.
    ///
    /// # Errors
    /// Refuses fields that contradict each other or the standards.
    pub async fn write_role(
        &self,
        name: &str,
        fields: RoleFields,
        now: Timestamp,
    ) -> Result<(Arc<Role>, Vec<String>), Failure> {
        let limits = self.lifetimes;
        let (role, mut warnings) = fields.accept(name, limits, now)?;
        let ca_state = self.ca_state().await?;
        let reference = &role.fields().issuer_ref;
        if ca_state.issuer(reference).is_err() {
            warnings.push(if reference == "default" {
                "Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set".to_owned()
            } else {
                format!("Issuing Certificate was set to {reference} but no issuing certificate currently has that name")
            });
        }
        let key = key::role(self.id(), name);
        self.env().store.commit(Batch::new().put_record(key, role.fields())).await?;
        self.prefetch_keys_for(&role);
        Ok((Arc::new(role), warnings))
    }

    /// Changes the fields of a role that `change` touches.
    ///
    /// # Errors
    /// Refuses an unknown role, and what [`Pki::write_role`] refuses.
    pub async fn patch_role(
        &self,
        name: &str,
        change: impl Fn(RoleFields) -> Result<RoleFields, Failure>,
        now: Timestamp,
    ) -> Result<(Arc<Role>, Vec<String>), Failure> {
        retry_on_conflict!(async {
            let snapshot = self.env().store.snapshot().await?;
            let key = key::role(self.id(), name);
            let Some((revision, fields)) = snapshot.record::<RoleFields>(&key).await? else {
                return Err(Failure::refused("Unable to fetch role entry to patch"));
            };
            let limits = self.lifetimes;
            let (role, warnings) = change(fields)?.accept(name, limits, now)?;
            let batch = Batch::new().expect(key.clone(), revision).put_record(key, role.fields());
            self.env().store.commit(batch).await?;
            self.prefetch_keys_for(&role);
            Ok((Arc::new(role), warnings))
        })
    }

    /// The fields of a role.
    ///
    /// # Errors
    /// [`Failure::NotFound`] if the role does not exist.
    pub async fn read_role(&self, name: &str) -> Result<RoleFields, Failure> {
        let snapshot = self.env().store.snapshot().await?;
        let found = snapshot.record::<RoleFields>(&key::role(self.id(), name)).await?;
        found.map(|(_, fields)| fields).ok_or(Failure::NotFound)
    }

    /// The names of all roles, sorted bytewise.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn list_roles(&self) -> Result<Vec<String>, Failure> {
        let snapshot = self.env().store.snapshot().await?;
        let prefix = key::roles(self.id());
        let keys = snapshot.keys(&prefix.range(), usize::MAX).await?;
        Ok(keys
            .iter()
            .filter_map(|key| prefix.rest(key))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect())
    }

    /// Removes a role. An unknown name is not an error.
    ///
    /// # Errors
    /// Fails only with the store.
    pub async fn delete_role(&self, name: &str) -> Result<(), Failure> {
        self.env().store.commit(Batch::new().delete(key::role(self.id(), name))).await?;
        Ok(())
    }

    /// Generates RSA keys in the background if the role requires them.
    pub(super) fn prefetch_keys_for(&self, role: &Role) {
        if let RoleKey::Kind(kind) = role.key() {
            self.services.cpu.prefetch(kind);
        }
    }
}
