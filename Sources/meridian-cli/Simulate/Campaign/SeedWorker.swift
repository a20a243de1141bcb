import Foundation
import MeridianSimulation

/// The other end of `WorkerPool`: reads a job a line from standard input, and writes a result a line.
struct SeedWorker {
    /// Makes the run of a job.
    let simulation: (SeedJob) throws -> Simulation

    func run() throws {
        let encoder = JSONEncoder()
        while let line = readLine() {
            let job = try JSONDecoder().decode(SeedJob.self, from: Data(line.utf8))
            let result = SeedResult(try simulation(job).run())
            FileHandle.standardOutput.write(try encoder.encode(result) + Data("\n".utf8))
        }
    }
}
