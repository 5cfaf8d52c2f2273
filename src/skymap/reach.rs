//! Which tracts and patches are near: for regions of any shape, and for whoever looks for what a tract may touch.

use super::{SkyMap, SkyMapError};
use crate::sphere::{Cap, Circle, Region};

impl SkyMap {
    /// Number of patches of a tract in x and in y.
    ///
    /// # Errors
    /// [`SkyMapError::TractOutOfRange`].
    pub fn num_patches(&self, tract: u32) -> Result<(u32, u32), SkyMapError> {
        let [nx, ny] = self.records.get(tract as usize).ok_or_else(|| self.no_tract(tract))?.size.count;
        Ok((nx, ny))
    }

    /// A circle around the outer boxes of all patches of a tract.
    ///
    /// # Errors
    /// [`SkyMapError::TractOutOfRange`].
    pub fn tract_circle(&self, tract: u32) -> Result<Circle, SkyMapError> {
        let cap = self.records.get(tract as usize).ok_or_else(|| self.no_tract(tract))?.reach;
        let failed = |source| SkyMapError::Corners { what: format!("tract {tract}"), source };
        // The cap's cosine is rounded, which is much to the opening of a small one.
        Circle::new(cap.axis, (cap.radius() + 1e-7).min(std::f64::consts::PI)).map_err(failed)
    }

    /// The tracts that may have a patch which touches a circle, sorted: all that have, and some of their neighbours.
    pub fn tracts_near(&self, circle: Circle) -> Vec<u32> {
        // A cap of a hemisphere or more proves nothing, and is near to all.
        let cap = Cap::new(circle.centre(), libm::cos((circle.radius() + 1e-7).min(std::f64::consts::PI)));
        (0..self.len()).filter(|tract| !self.records[*tract as usize].reach.misses(cap)).collect()
    }

    /// The patches of a tract whose outer polygon shares a point with a region, sorted; as sharp as [`Region::relate`] is.
    ///
    /// # Errors
    /// [`SkyMapError::TractOutOfRange`].
    pub fn patches_touching(&self, tract: u32, region: &Region) -> Result<Vec<u32>, SkyMapError> {
        let circle = self.tract_circle(tract)?;
        let (nx, ny) = self.num_patches(tract)?;
        let relation = region.relate(&Region::Circle(circle));
        if relation.disjoint() {
            return Ok(Vec::new());
        }
        if relation.contains() {
            return Ok((0..nx * ny).collect());
        }
        let info = self.tract(tract)?;
        let mut touching = Vec::new();
        for patch in 0..nx * ny {
            if region.relate(&Region::from(info.patch(patch)?.outer_polygon().clone())).intersects() {
                touching.push(patch);
            }
        }
        Ok(touching)
    }

    fn no_tract(&self, tract: u32) -> SkyMapError {
        SkyMapError::TractOutOfRange { tract: i64::from(tract), count: self.len() }
    }
}
