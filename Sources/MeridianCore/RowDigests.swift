/// Sums over the rows of a table's copy, by which two copies find out where they differ without sending their rows.
///
/// Each row adds a hash of its key and its value to one of 256 buckets, which its key alone chooses. Copies compare
/// their sums across nodes and versions, so the hash must never change: the tests hold it to fixed values. It finds
/// copies that drifted apart, not rows that somebody made up to collide.
package struct RowDigests: Hashable, Sendable {
    package static let bucketCount = 256
    /// Of the encoded form.
    package static let byteCount = bucketCount * 8

    /// One wrapping sum for each bucket.
    package private(set) var sums = [UInt64](repeating: 0, count: bucketCount)

    /// Of no rows.
    package init() {}

    /// What `encoded` gave.
    /// - Throws: `MeridianError` with `.corruption` when it is of another length.
    package init(decoding bytes: [UInt8]) throws(MeridianError) {
        guard bytes.count == Self.byteCount else {
            throw MeridianError(
                .corruption, "row digests have \(bytes.count) bytes instead of \(Self.byteCount); ask for them again")
        }
        bytes.withUnsafeBytes { bytes in
            for bucket in sums.indices {
                sums[bucket] = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: bucket * 8, as: UInt64.self))
            }
        }
    }

    /// Little-endian, bucket by bucket.
    package var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for sum in sums { withUnsafeBytes(of: sum.littleEndian) { bytes.append(contentsOf: $0) } }
        return bytes
    }

    /// Takes in one row.
    /// - Parameter keySuffix: what of the key is the same in every copy.
    package mutating func add(keySuffix: ArraySlice<UInt8>, value: [UInt8]) {
        var hash = RowHash()
        keySuffix.withUnsafeBytes { hash.combine($0) }
        let bucket = hash.bucket
        value.withUnsafeBytes { hash.combine($0) }
        sums[Int(bucket)] &+= hash.value
    }

    /// Takes in the rows of another part of the same copy.
    package mutating func add(_ other: RowDigests) {
        for bucket in sums.indices { sums[bucket] &+= other.sums[bucket] }
    }

    /// The buckets in which two copies have other rows.
    package func differingBuckets(from other: RowDigests) -> Set<UInt8> {
        Set((0...UInt8.max).filter { sums[Int($0)] != other.sums[Int($0)] })
    }

    package static func bucket(ofKeySuffix keySuffix: ArraySlice<UInt8>) -> UInt8 {
        var hash = RowHash()
        keySuffix.withUnsafeBytes { hash.combine($0) }
        return hash.bucket
    }
}
