//! Who made a network card.

use crate::model::Mac;

/// The maker of the card, by the IEEE's register; addresses that somebody made up are in none.
pub fn vendor(card: Mac) -> Option<&'static str> {
    let found = oui_data::lookup(&card.to_string())?;
    Some(found.organization()).filter(|name| !name.is_empty() && *name != "Private")
}

#[cfg(test)]
mod tests {
    use super::vendor;
    use crate::model::Mac;

    #[test]
    fn registered_cards_have_a_maker_and_made_up_ones_do_not() {
        // Registered to Apple since 1998; the IEEE's register says "Apple, Inc.".
        assert_eq!(
            vendor(Mac([0x00, 0x0a, 0x27, 1, 2, 3])),
            Some("Apple, Inc.")
        );
        assert_eq!(vendor(Mac([0x02, 0, 0, 0, 0, 1])), None);
    }
}
