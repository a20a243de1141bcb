import GRDB
import MeridianCore
import MeridianPlacement
import MeridianReplica
import MeridianStorage

/// A node's files as SQLite's real code writes them, on a simulated disk.
///
/// Damage is looked for before a node starts on a disk that is known to be bad: an operator who has reason to doubt a
/// disk checks it (`PRAGMA integrity_check`, and every row's checksum). Where nothing is found the damage has hit what
/// nobody reads; or the very last commit of the log, which cannot be told from one that a crash cut off
/// (`WriteAheadLogCheck`). There the simulation knows better than any operator and has the node replaced: what a store
/// on one disk cannot notice, it does not promise.
final class SQLiteStorage: NodeStorage {
    private let disk: SimulatedDisk
    private let directory: String
    private let identity: StoreIdentity
    private var stores: SQLiteStores?
    /// What the log held before the disk was damaged.
    private var suspect: [RangeID: StoredLog]?
    private(set) var hasBrokenPromises = false

    var trouble: DiskTrouble {
        get { disk.trouble }
        set { disk.trouble = newValue }
    }

    convenience init(_ node: NodeDescriptor, jurisdiction: Jurisdiction, seed: UInt64) {
        self.init(node, jurisdiction: jurisdiction, disk: SimulatedDisk(seed: seed))
    }

    convenience init(_ node: NodeDescriptor, jurisdiction: Jurisdiction, disk: SimulatedDisk) {
        let identity = StoreIdentity(
            clusterID: "simulation", node: node.id, name: node.name, region: node.region, jurisdiction: jurisdiction)
        self.init(identity: identity, disk: disk)
    }

    private init(identity: StoreIdentity, disk: SimulatedDisk) {
        self.identity = identity
        self.disk = disk
        directory = SimulatedVFS.mount(disk)
    }

    deinit {
        _ = disk.cutPower()
        stores = nil
        SimulatedVFS.unmount(directory)
    }

    private static let options: SQLiteStoreOptions = {
        var options = SQLiteStoreOptions()
        options.logPreallocatedByteCount = 128 << 10
        options.stateCacheByteCount = 1 << 20
        options.readerCacheByteCount = 256 << 10
        return options
    }()

    private func openStores() throws -> SQLiteStores {
        try SQLiteStores.open(directory: directory, identity: identity, options: Self.options, files: disk)
    }

    func open() throws -> (log: any LogStore, state: any StateStore) {
        let opened = try openStores()
        stores = opened
        if let expected = suspect {
            do { try check(opened, against: expected) } catch {
                _ = disk.cutPower()
                stores = nil
                throw error
            }
            suspect = nil
        }
        return (opened.log, opened.state)
    }

    private func check(_ stores: SQLiteStores, against expected: [RangeID: StoredLog]) throws {
        guard try stores.log.load() == expected else {
            throw MeridianError(.corruption, "log.sqlite: the last commit is damaged")
        }
        _ = try stores.state.load()
        _ = try stores.state.makeReader().rows(of: .all, at: .distantFuture)
        var configuration = Configuration()
        configuration.readonly = true
        let queue = try DatabaseQueue(path: directory + "/state.sqlite", configuration: configuration)
        let findings = try queue.read { try String.fetchAll($0, sql: "PRAGMA integrity_check") }
        if findings != ["ok"] { throw MeridianError(.corruption, "state.sqlite: the integrity check fails") }
    }

    func powerOff() {
        hasBrokenPromises = disk.cutPower() || hasBrokenPromises
        stores = nil
    }

    func close() {
        stores = nil
        disk.processEnded()
    }

    func wipe(beginning life: Incarnation) {
        disk.wipe()
        stores = nil
        suspect = nil
        hasBrokenPromises = false
        let trouble = disk.trouble
        disk.trouble = DiskTrouble()
        defer { disk.trouble = trouble }
        do {
            let fresh = try openStores()
            try fresh.log.write([NodeCore.recoveryWrite(life)])
            try fresh.close()
        } catch {
            preconditionFailure("an empty disk cannot be written: \(error)")
        }
        disk.processEnded()
    }

    func damage(_ kind: DiskDamage, in file: FileKind) {
        let whole = SQLiteStorage(identity: identity, disk: disk.afterPowerCut(seed: 0))
        suspect = suspect ?? (try? whole.openStores().log.load())
        disk.damage(kind, in: file)
    }

    func takeStallNanoseconds() -> Int64 { 0 }
    func holds(_ bytes: [UInt8]) -> Bool { disk.holds(bytes) }
}
