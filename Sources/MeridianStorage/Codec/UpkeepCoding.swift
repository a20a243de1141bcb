import MeridianCore

/// What a range's row keeps for the range's upkeep: the threshold of collection (64 bits), and what the versions in the
/// file add up to: sum (64), count (64). Nothing at all is a threshold of zero and no digest; so it is in files of
/// earlier formats.
enum UpkeepCoding {
    static func encode(_ threshold: Timestamp, _ digest: RangeDigest?, to writer: inout ByteWriter) {
        if threshold == .zero, digest == nil { return }
        writer.put(threshold.rawValue)
        guard let digest else { return }
        writer.put(digest.sum)
        writer.put(digest.count)
    }

    /// Reads all that is left.
    static func decode(_ reader: inout ByteReader) throws(ByteReader.Malformed) -> (Timestamp, RangeDigest?) {
        guard reader.remaining > 0 else { return (.zero, nil) }
        let threshold = Timestamp(rawValue: try reader.int64())
        guard reader.remaining > 0 else { return (threshold, nil) }
        let digest = RangeDigest(sum: try reader.uint64(), count: try reader.uint64())
        try reader.expectEnd()
        return (threshold, digest)
    }
}
