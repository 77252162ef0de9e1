import Compute
import Foundation
import LanguageModels

/// What `train --profile` measures: the device's operations and the phases of the run.
struct RunProfile {
  let backend: ProfiledBackend

  /// The trace in the output folder.
  static let traceName = "trace.json"

  /// - Throws: what the device fails with when it is asked to note its commands.
  init(_ device: any ComputeBackend) throws { backend = try ProfiledBackend(device, profile: Profile()) }

  /// Writes the trace and prints the table.
  ///
  /// - Throws: `CheckpointError.unwritable`; what the device fails with.
  func finish(in folder: URL, showsTable: Bool) throws {
    try backend.finishProfile()
    let profile = backend.profile
    let elapsed = profile.now
    let file = try AtomicFile(folder.appendingPathComponent(Self.traceName))
    try profile.writeTrace(device: "\(backend.device.id): \(backend.device.name)") { try file.write(Data($0.utf8)) }
    try file.commit()
    if profile.leftOut > 0 {
      DeviceSelection.standardErrorNotice(
        "\(file.url.path) holds the first \(profile.limit) spans; \(profile.leftOut) later ones count in the totals alone"
      )
    }
    if showsTable { Self.show(profile, elapsed: elapsed) }
  }

  /// Prints the time of each operation, the longest first.
  static func show(_ profile: Profile, elapsed: Profile.Time) {
    let busy = Double(max(1, profile.deviceTime))
    print("")
    Output.table(
      ["operation", "calls", "total ms", "share %", "GFLOP/s", "GB/s"],
      profile.totals.sorted { ($1.value.nanoseconds, $0.key) < ($0.value.nanoseconds, $1.key) }.map { name, total in
        let time = Double(total.nanoseconds)
        func rate(_ amount: Double) -> String { amount > 0 && time > 0 ? String(format: "%.1f", amount / time) : "" }
        return [
          name, String(total.calls), String(format: "%.2f", 1e-6 * time), String(format: "%.1f", 100 * time / busy),
          rate(total.work.flops), rate(total.work.bytes),
        ]
      })
    print(
      String(
        format: "\nthe device was busy for %.2f of %.2f s (%.0f %%)", 1e-9 * busy, 1e-9 * Double(elapsed),
        100 * busy / Double(max(1, elapsed))))
  }
}
