import MeridianCore
import Synchronization

/// The tables of one transaction as it found them first.
///
/// Copies of an active-active table come and go, and with them which one is nearest. A transaction that reads in one
/// copy and writes in another would overwrite there what it has not seen, and the record would say that it had: what is
/// lost so is lost without a conflict. So a transaction stays with the copies that it began with.
final class TablesUsed: Sendable {
    private let tables = Mutex<[String: ResolvedTable]>([:])

    /// - Parameter resolved: the table as it is known now.
    func first(_ resolved: ResolvedTable) -> ResolvedTable {
        if Planted.isOn(.transactionChangesCopies) { return resolved }
        return tables.withLock { tables in
            let first = tables[resolved.name] ?? resolved
            tables[resolved.name] = first
            return first
        }
    }
}
