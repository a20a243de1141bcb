import Crypto
import Foundation
import MeridianCore
import MeridianPlacement

/// What was erased, from whose files that is confirmed, and what is outstanding.
///
/// It holds no key and no row: keys stand in it as digests (HMAC-SHA256) under a salt that is drawn for each
/// certificate. Whoever knows a key can ask whether it is covered (`covers`); whoever has a certificate with its salt
/// can try guesses, so keep it like the audit record that it is.
///
/// The cluster seals it (HMAC-SHA256 under the cluster's key) and chains it: each one, and each later state of one,
/// names the digest of the one sealed before, so that none can be left out unseen (`EmbeddedCluster.verify`).
public struct ErasureCertificate: Codable, Sendable, Hashable {
    /// One replica of a range.
    public struct Replica: Codable, Sendable, Hashable {
        public var node: String
        public var region: Region
        /// `voter`, `learner` or `witness`.
        public var role: String
        /// When its files were found to hold nothing of the rows any more, in nanoseconds since 1970; `nil` while that
        /// is outstanding.
        public var confirmedNanoseconds: Int64?
    }

    /// One range from which the keys were erased.
    public struct Range: Codable, Sendable, Hashable {
        public var range: UInt64
        public var home: Region
        public var jurisdiction: Jurisdiction
        /// Where in the range's log the erasure stands; 0 while the range could not be reached.
        public var logIndex: UInt64
        /// Versions at or below this commit timestamp are gone. What is written later is not covered.
        public var throughNanoseconds: Int64
        public var replicas: [Replica]

        /// Whether the range itself has erased the rows, whatever its replicas' files hold.
        public var isErased: Bool { logIndex > 0 }
    }

    public var id: String
    public var table: String
    /// When it was asked for, in nanoseconds since 1970.
    public var requestedNanoseconds: Int64
    /// By when the jurisdictions' rules want it complete; `nil` where no rule says.
    public var dueNanoseconds: Int64?
    /// As of when the rows are erased in all copies of an active-active table, by its clocks: what is of before loses
    /// to it wherever it comes from. `nil` for other tables.
    public internal(set) var erasedNanoseconds: Int64?
    /// How many keys were erased, whether or not there were rows.
    public var keyCount: Int { keyDigests.count }
    /// In hexadecimal, like the next one.
    public var salt: String
    public var keyDigests: [String]
    public var ranges: [Range]
    /// Its number in the cluster's chain.
    public internal(set) var sequence: Int = 0
    /// The digest of the certificate that was sealed before this one; empty for the first.
    public internal(set) var previous: String = ""
    public internal(set) var seal: String = ""

    /// The regions whose copies of an active-active table, in use or retired, have not been reached yet: nothing is
    /// erased there. `EmbeddedCluster.complete` asks them again.
    public var unreachedRegions: [Region] { Set(ranges.filter { !$0.isErased }.map(\.home)).sorted() }

    /// Whether every range has erased the rows, and every replica's files are confirmed.
    public var isComplete: Bool {
        ranges.allSatisfy { range in
            range.isErased && range.replicas.allSatisfy { $0.confirmedNanoseconds != nil }
        }
    }

    /// The nodes from which a confirmation is outstanding, sorted by name.
    public var pendingNodes: [String] {
        let pending = ranges.flatMap { $0.replicas.filter { $0.confirmedNanoseconds == nil }.map(\.node) }
        return Set(pending).sorted()
    }

    /// Whether a key is among those that were erased.
    /// - Throws: `.typeMismatch` if the parts do not fit the table's key.
    public func covers<Row, each Part: Encodable>(_ key: repeat each Part, of table: Table<Row>) throws -> Bool {
        guard table.name == self.table else { return false }
        return keyDigests.contains(Self.digest(try table.plainKey(try table.keyValues(repeat each key)), salt: salt))
    }

    static func digest(_ key: [UInt8], salt: String) -> String {
        Hexadecimal.text(
            HMAC<SHA256>.authenticationCode(for: key, using: SymmetricKey(data: Array(salt.utf8))))
    }

    /// What the seal covers: everything but itself, in one order.
    var sealedBytes: [UInt8] {
        var plain = self
        plain.seal = ""
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(plain) else { preconditionFailure("a certificate cannot be encoded") }
        return [UInt8](data)
    }
}

extension Table {
    /// A key as bytes, the same wherever its row is at home.
    func plainKey(_ values: [Value]) throws -> [UInt8] {
        let schema = try layout.schema
        return try KeyEncoder.key(
            table: .system, region: "", values: values, types: schema.keyTypes, name: name
        ).bytes
    }
}
