import MeridianCore
import Synchronization

/// The active-active tables that a closure reads after a token. Which they are shows only when it reads them, and by
/// then the time of all its reads may be fixed, before the region had what the token proves in the next one. Then the
/// closure runs again, and its first read waits for all that it has named so far.
final class TokenCoverage: Sendable {
    private struct State {
        var tables: [String: ResolvedTable] = [:]
        /// Those that were waited for before the time was fixed.
        var covered: Set<String> = []
    }

    private let state = Mutex(State())

    /// In the order of their names.
    var tables: [ResolvedTable] {
        state.withLock { state in state.tables.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// Whether some table was not waited for.
    var isMissingAny: Bool { state.withLock { state in state.tables.keys.contains { !state.covered.contains($0) } } }

    func note(_ table: ResolvedTable) { state.withLock { $0.tables[table.name] = table } }
    func noteCovered(_ tables: [ResolvedTable]) { state.withLock { $0.covered = Set(tables.map(\.name)) } }

    func isMissing(_ table: ResolvedTable) -> Bool {
        if Planted.isOn(.timeFixedBeforeCoverage) { return false }
        return state.withLock { $0.tables[table.name] != nil && !$0.covered.contains(table.name) }
    }
}
