import MeridianCore
import MeridianPlacement
import MeridianReplica

/// Follows one copy of a table with another one, for as long as both are in use.
///
/// While the other one cannot be reached, it is asked small questions, many a round trip, so that pulling goes on a
/// round trip after the link is back, and takes one more. The longer nothing was written, the longer is the pause
/// between two pulls, up to a limit: idle tables cost little.
struct CopyLink: Sendable {
    struct Intervals: Sendable {
        /// Between a pull that brought nothing and the next, beside writes.
        var pull = Duration.nanoseconds(ClusterTiming.pullIntervalNanoseconds)
        /// The same where nothing was written for ten seconds.
        var idlePull = Duration.milliseconds(100)
        /// Between questions to a copy that has just stopped answering.
        var probe = Duration.milliseconds(10)
        /// The same after four minutes.
        var rareProbe = Duration.milliseconds(250)
    }

    let database: Database
    let roundTrip: Duration
    let intervals: Intervals
    /// The copies as they are now; `nil` when one of them is out of use.
    let current: @Sendable () -> (table: ActiveTable, source: ActiveTable.Copy)?

    func run() async {
        let shortest = roundTrip * 2 + .milliseconds(500)
        var patience = shortest
        var lastNews = database.host.now
        while !Task.isCancelled, current() != nil {
            switch await pull(patience: patience) {
            case .news:
                patience = shortest
                lastNews = database.host.now
            case .nothing:
                patience = shortest
                let idle = Duration.nanoseconds(database.host.now.nanoseconds(since: lastNews))
                await database.host.pause(for: min(intervals.idlePull, intervals.pull + idle / 125))
            case .failed:
                // A page may take longer than a pull was given. Or nobody is there.
                patience = min(patience * 2, .seconds(20))
                await onceReachable { _ = await pull(patience: patience) }
                lastNews = database.host.now
            }
        }
    }

    private enum Outcome { case news, nothing, failed }

    private func pull(patience: Duration) async -> Outcome {
        guard let (table, source) = current() else { return .nothing }
        do {
            let puller = CopyPuller(database: database, table: table, source: source)
            return try await puller.pull(end: database.host.deadline(after: patience)) ? .news : .nothing
        } catch {
            if let error = error as? MeridianError { database.host.progress.note(error, of: table.link(from: source)) }
            return .failed
        }
    }

    /// Does something as soon as the other copy's leaseholder has answered, while the questions that are still under
    /// way end.
    private func onceReachable(_ body: () async -> Void) async {
        let begun = database.host.now
        let patience = roundTrip + roundTrip / 4 + .milliseconds(20)
        await withTaskGroup(of: Bool?.self) { group in
            while !Task.isCancelled, let range = current()?.source.range.id {
                group.addTask {
                    let end = database.host.deadline(after: patience)
                    return (try? await database.read(range, [], at: nil, end: end)) != nil
                }
                let silence = Duration.nanoseconds(database.host.now.nanoseconds(since: begun))
                let interval = min(intervals.rareProbe, intervals.probe + silence / 1_000)
                group.addTask {
                    await database.host.pause(for: interval)
                    return nil
                }
                // Until it is time for the next question.
                while let answer = await group.next() {
                    if answer == true { return await body() }
                    if answer == nil { break }
                }
            }
        }
    }
}
