import Foundation
import GRDB
import MeridianCore
import Synchronization

/// For tests and the simulator: what a memory or a disk does that rots, without anybody's knowledge.
package enum SilentDamage: CaseIterable, Sendable {
    /// A bit of a value flips, and every checksum with it.
    case changesValue
    /// A version is gone.
    case losesVersion
}

package protocol Damageable {
    /// Damages a version of a span, chosen by a number.
    /// - Returns: whether there was one.
    func damage(_ span: KeySpan, _ damage: SilentDamage, choice: UInt64) throws -> Bool
}

extension MemoryStateStore: Damageable {
    package func damage(_ span: KeySpan, _ damage: SilentDamage, choice: UInt64) -> Bool {
        damageVersions { versions in versions.damage(span, damage, choice) }
    }
}

extension SQLiteStateStore: Damageable {
    /// In memory, where what was applied last is; otherwise in the file.
    package func damage(_ span: KeySpan, _ damage: SilentDamage, choice: UInt64) throws -> Bool {
        if recent.withLock({ $0.versions.damage(span, damage, choice) }) { return true }
        return try file.withLock { try $0.damage(span, damage, choice) }
    }
}

extension VersionMap {
    fileprivate mutating func damage(_ span: KeySpan, _ damage: SilentDamage, _ choice: UInt64) -> Bool {
        var found: [(key: Key, chain: [Version])] = []
        visit(span) { key, chain in
            if chain.contains(where: { $0.value?.isEmpty == false }) { found.append((key, chain)) }
            return true
        }
        guard !found.isEmpty else { return false }
        let (key, chain) = found[Int(choice % UInt64(found.count))]
        guard let slot = chain.lastIndex(where: { $0.value?.isEmpty == false }), var value = chain[slot].value else {
            return false
        }
        switch damage {
        case .losesVersion: replaceChain(of: key, by: Array(chain[..<slot] + chain[(slot + 1)...]))
        case .changesValue:
            value[Int(choice >> 32) % value.count] ^= 1
            insert(Version(timestamp: chain[slot].timestamp, value: value), for: key)
        }
        return true
    }
}

extension StateFile {
    fileprivate func damage(_ span: KeySpan, _ damage: SilentDamage, _ choice: UInt64) throws -> Bool {
        try connection.access("damage") { database in
            let upper = span.upper.map { Data($0.bytes) }
            let rows = try Row.fetchAll(
                database,
                sql: "SELECT key, timestamp, value FROM versions WHERE key >= ? AND length(value) > 0",
                arguments: [Data(span.lower.bytes)]
            ).filter { row in upper.map { (row["key"] as Data).lexicographicallyPrecedes($0) } ?? true }
            guard !rows.isEmpty else { return false }
            let row = rows[Int(choice % UInt64(rows.count))]
            let (key, timestamp) = ([UInt8](row["key"] as Data), row["timestamp"] as Int64)
            switch damage {
            case .losesVersion:
                try database.execute(
                    sql: "DELETE FROM versions WHERE key = ? AND timestamp = ?", arguments: [Data(key), timestamp])
            case .changesValue:
                var value = [UInt8](row["value"] as Data)
                value[Int(choice >> 32) % value.count] ^= 1
                let checksum = Int64(VersionCoding.checksum(key, timestamp, value))
                try database.execute(
                    sql: "UPDATE versions SET value = ?, checksum = ? WHERE key = ? AND timestamp = ?",
                    arguments: [Data(value), checksum, Data(key), timestamp])
            }
            return true
        }
    }
}
