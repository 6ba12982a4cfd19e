//! Time zones of this machine, for users who may be connected at certain hours.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use natsd_auth::jwt::Zones;

/// The zone of the machine, and those of its time zone database.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemZones;

impl Zones for SystemZones {
    fn offset(&self, location: &str, at: i64) -> Option<i32> {
        let zone = match location {
            "" | "Local" => TimeZone::system(),
            "UTC" => TimeZone::UTC,
            name => TimeZone::get(name).ok()?,
        };
        Some(zone.to_offset(Timestamp::from_second(at).ok()?).seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_differ_by_place_and_season() {
        let winter = "2026-01-15T12:00:00Z".parse::<Timestamp>().unwrap().as_second();
        let summer = "2026-07-15T12:00:00Z".parse::<Timestamp>().unwrap().as_second();
        assert_eq!(SystemZones.offset("UTC", winter), Some(0));
        assert_eq!(SystemZones.offset("No/Where", winter), None);
        assert_eq!(SystemZones.offset("", winter), SystemZones.offset("Local", winter));
        assert!(SystemZones.offset("", i64::MAX).is_none());
        // Not every machine has the database.
        if let Some(zurich) = SystemZones.offset("Europe/Zurich", winter) {
            assert_eq!((zurich, SystemZones.offset("Europe/Zurich", summer)), (3600, Some(7200)));
        }
    }
}
