//! A name that people can say, made from a node's id. It may be changed; the id never is.

use crate::ids::NodeId;

const ADJECTIVES: [&str; 64] = [
    "Amber", "Ample", "Azure", "Balmy", "Blithe", "Bold", "Brave", "Breezy", "Bright", "Brisk", "Calm",
    "Candid", "Cheery", "Civil", "Clear", "Clever", "Copper", "Coral", "Cosy", "Crisp", "Curious", "Dapper",
    "Daring", "Deft", "Eager", "Early", "Fabled", "Fair", "Fleet", "Fond", "Frank", "Gentle", "Glad",
    "Golden", "Hardy", "Hearty", "Humble", "Ivory", "Jade", "Jolly", "Keen", "Kind", "Lively", "Lucid",
    "Lucky", "Mellow", "Merry", "Mild", "Nimble", "Noble", "Patient", "Placid", "Plucky", "Quiet", "Ready",
    "Rosy", "Sage", "Silver", "Spry", "Steady", "Sunny", "Swift", "Tidy", "Witty",
];

const ANIMALS: [&str; 64] = [
    "Alpaca", "Badger", "Beaver", "Bison", "Bittern", "Bunting", "Camel", "Caribou", "Cheetah", "Civet",
    "Condor", "Crane", "Cricket", "Curlew", "Dingo", "Dolphin", "Dormouse", "Dunlin", "Egret", "Falcon",
    "Ferret", "Finch", "Fox", "Gannet", "Gazelle", "Gecko", "Gibbon", "Grebe", "Hare", "Hedgehog", "Heron",
    "Hoopoe", "Ibex", "Ibis", "Jackdaw", "Jay", "Kestrel", "Kiwi", "Koala", "Lapwing", "Lemur", "Linnet",
    "Lynx", "Magpie", "Marmot", "Marten", "Mole", "Newt", "Ocelot", "Oriole", "Osprey", "Otter", "Panda",
    "Petrel", "Plover", "Puffin", "Quokka", "Raven", "Robin", "Seal", "Stork", "Tapir", "Vole", "Wren",
];

/// "Amber Otter".
pub fn friendly_name(node: NodeId) -> String {
    // Ids are the start of a hash, so their bytes are as even as can be.
    let [first, second, ..] = *node.as_bytes();
    format!("{} {}", ADJECTIVES[usize::from(first) % 64], ANIMALS[usize::from(second) % 64])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_distinct_words_within_the_limit() {
        assert_eq!(BTreeSet::from(ADJECTIVES).len(), 64);
        assert_eq!(BTreeSet::from(ANIMALS).len(), 64);
        let longest = |words: [&str; 64]| words.iter().map(|word| word.len()).max().unwrap_or(0);
        assert!(longest(ADJECTIVES) + 1 + longest(ANIMALS) <= limits::MEMBER_NAME_BYTES_MAX);
    }

    #[test]
    fn a_node_keeps_its_name() {
        let node = NodeId::from_bytes([0, 51, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(friendly_name(node), "Amber Otter");
    }
}
