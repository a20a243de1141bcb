import MeridianCore
import Testing
@testable import MeridianTransactions
@Test func debugIt() {
    for seed in [UInt64(90274), 144097] {
        var model = CommitModel(seed: seed)
        model.trace = .init()
        _ = model.run()
        print("SEED", seed, model.writers, model.readers, model.breach ?? "")
        print(model.trace!.lines.prefix(400).joined(separator: "\n"))
    }
}
