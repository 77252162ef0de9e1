import Foundation
import LanguageModels

/// Sums of prompts, each times a weight: averages and interpolations.
///
/// Every tensor of PEFT's file, a classifier's too, is summed in Double and rounded once.
public enum AdapterCombination {
  /// Writes the sum of adapters into a new or empty folder.
  ///
  /// Everything else, such as the template, is the first adapter's.
  ///
  /// - Parameters:
  ///   - folders: of adapters of one type and shape.
  ///   - weights: one for each.
  /// - Throws: `MethodError.refused` or `.badAdapter` for adapters that cannot be added; `CheckpointError`.
  public static func write(_ folders: [URL], weights: [Double], to output: URL) throws {
    guard let first = folders.first else { throw MethodError.refused("there is no adapter to combine") }
    guard weights.count == folders.count else {
      throw MethodError.refused("--weights has \(weights.count) numbers for \(folders.count) adapters")
    }
    guard weights.allSatisfy(\.isFinite) else { throw MethodError.refused("--weights must be finite numbers") }
    let adapters = try folders.map { try Adapter(directory: $0) }
    for (adapter, folder) in zip(adapters, folders) {
      switch adapter.type {
      case .own, .multitask:
        throw MethodError.refused(
          "'\(folder.path)' holds \(adapter.type.name), whose tensors mean nothing when added up")
      case .promptTuning, .pTuning, .prefixTuning: break
      }
      guard adapter.isPrefix == adapters[0].isPrefix else {
        throw MethodError.refused(
          "'\(folder.path)' holds \(adapter.type.name), '\(first.path)' \(adapters[0].type.name)")
      }
    }
    let files = try folders.map { try SafetensorsFile(url: $0.appendingPathComponent(Adapter.tensorsName)) }
    let items = try files[0].entries.keys.sorted().compactMap { name -> SafetensorsWriter.Item? in
      guard let entry = files[0].entries[name] else { return nil }
      var sum = [Double](repeating: 0, count: entry.shape.count)
      for (file, weight) in zip(files, weights) {
        guard let other = file.entries[name] else {
          throw CheckpointError.missingTensor(path: file.url.path, name: name)
        }
        guard other.shape == entry.shape else {
          throw CheckpointError.wrongShape(
            path: file.url.path, name: name, found: other.shape, expected: entry.shape)
        }
        for (place, value) in try file.floats(of: other).enumerated() { sum[place] += weight * Double(value) }
      }
      return SafetensorsWriter.Item(name: name, shape: entry.shape, floats: sum.map(Float.init))
    }
    for file in files.dropFirst() {
      if let name = file.entries.keys.sorted().first(where: { files[0].entries[$0] == nil }) {
        throw CheckpointError.missingTensor(path: files[0].url.path, name: name)
      }
    }
    let manager = FileManager.default
    let present = (try? manager.contentsOfDirectory(atPath: output.path)) ?? []
    guard present.isEmpty else { throw MethodError.refused("'\(output.path)' is not empty; choose another folder") }
    do {
      try manager.createDirectory(at: output, withIntermediateDirectories: true)
    } catch {
      throw MethodError.refused("'\(output.path)' cannot be created")
    }
    try SafetensorsWriter.write(items, to: output.appendingPathComponent(Adapter.tensorsName))
    // The configuration comes last: a folder that has it is whole.
    for name in [Adapter.settingsName, Adapter.configurationName] {
      let source = first.appendingPathComponent(name)
      guard manager.fileExists(atPath: source.path) else { continue }
      try AtomicFile.write(try Data(contentsOf: source), to: output.appendingPathComponent(name))
    }
  }
}
