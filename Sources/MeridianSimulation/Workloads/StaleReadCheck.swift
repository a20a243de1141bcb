import MeridianCore

/// Judges reads at chosen times against the writes that were acknowledged: each key shows exactly its newest value as
/// of the read's timestamp, in all tables and regions at once, and the timestamp is as fresh as was asked for (Bailis
/// et al., bounded staleness; Terry et al., session guarantees; Spanner §4.1.4, reads at a timestamp).
///
/// A write whose outcome is unknown may show or not; it has no timestamp to be held to.
struct StaleReadCheck: Sendable {
    struct Write: Sendable, Hashable {
        var key: Int
        var value: Int
        var timestamp: Timestamp
    }

    struct Read: Sendable {
        /// What was asked for, in words.
        var name: String
        var timestamp: Timestamp
        /// The read must be as of this or later: what its staleness, its token or real time asks for.
        var notBefore: Timestamp
        /// The values seen, by key; keys without a row are missing.
        var values: [Int: Int]
    }

    private var writes: [Int: [Write]] = [:]
    private var unknown: [Int: Set<Int>] = [:]
    private(set) var reads: [Read] = []

    mutating func note(_ write: Write) { writes[write.key, default: []].append(write) }
    mutating func noteUnknown(key: Int, value: Int) { unknown[key, default: []].insert(value) }
    mutating func note(_ read: Read) { reads.append(read) }

    /// - Returns: the first read that was not as promised, in words.
    func anomaly(keys: [Int]) -> String? {
        let sorted = writes.mapValues { $0.sorted { $0.timestamp < $1.timestamp } }
        for read in reads {
            guard read.timestamp >= read.notBefore else {
                let late = (read.notBefore.rawValue - read.timestamp.rawValue) / 1000
                return "\(read.name) reads as of \(read.timestamp.rawValue), \(late) µs before what was asked for"
            }
            for key in keys {
                let newest = sorted[key]?.last { $0.timestamp <= read.timestamp }
                let seen = read.values[key]
                if seen == newest?.value { continue }
                if let seen, unknown[key]?.contains(seen) == true { continue }
                let expected = newest.map { "\($0.value), written at \($0.timestamp.rawValue)" } ?? "nothing"
                return "\(read.name) as of \(read.timestamp.rawValue) sees "
                    + (seen.map(String.init) ?? "nothing") + " under \(key) instead of \(expected)"
            }
        }
        return nil
    }
}
