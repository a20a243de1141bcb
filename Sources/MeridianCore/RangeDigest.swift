/// What all versions of a range's rows add up to: a sum of hashes, which each version that comes adds to and each that
/// goes is taken from. So a store keeps it up at the price of one hash a version, and the order does not matter.
///
/// Replicas of a range that have applied the same index, and collected all that lies below the threshold, hold the same
/// versions and so have the same digest. The hash is keyed with the range. It finds replicas that have drifted apart
/// and bits that have flipped, not versions that somebody made up to collide.
package struct RangeDigest: Hashable, Sendable {
    package private(set) var sum: UInt64
    /// How many versions.
    package private(set) var count: UInt64

    /// Of no versions.
    package init() { self.init(sum: 0, count: 0) }

    package init(sum: UInt64, count: UInt64) {
        self.sum = sum
        self.count = count
    }

    package static func hash(
        _ key: UnsafeRawBufferPointer, _ timestamp: Int64, _ value: UnsafeRawBufferPointer?, in range: RangeID
    ) -> UInt64 {
        var hash = RowHash()
        hash.combine(range.rawValue)
        hash.combine(key)
        hash.combine(UInt64(bitPattern: timestamp))
        if let value { hash.combine(value) }
        return hash.value
    }

    package static func hash(_ key: Key, _ version: Version, in range: RangeID) -> UInt64 {
        key.bytes.withUnsafeBytes { key in
            guard let value = version.value else { return hash(key, version.timestamp.rawValue, nil, in: range) }
            return value.withUnsafeBytes { hash(key, version.timestamp.rawValue, $0, in: range) }
        }
    }

    /// A version comes.
    package mutating func add(_ hash: UInt64) {
        sum &+= hash
        count &+= 1
    }

    /// A version goes.
    package mutating func remove(_ hash: UInt64) {
        sum &-= hash
        count &-= 1
    }

    package mutating func add(_ other: RangeDigest) {
        sum &+= other.sum
        count &+= other.count
    }

    package mutating func remove(_ other: RangeDigest) {
        sum &-= other.sum
        count &-= other.count
    }
}

/// What a replica says of its rows at an index of its range's log (`EntryPayload.compare`).
package struct DigestReport: Hashable, Sendable {
    package var range: RangeID
    package var index: LogIndex
    package var digest: RangeDigest
    /// All that lies below the threshold is collected. Otherwise the digest is no one else's.
    package var isComplete: Bool
    /// The rows are still those that were applied, as far as they were looked through.
    package var isSound: Bool

    package init(
        range: RangeID, index: LogIndex, digest: RangeDigest, isComplete: Bool, isSound: Bool
    ) {
        self.range = range
        self.index = index
        self.digest = digest
        self.isComplete = isComplete
        self.isSound = isSound
    }
}
