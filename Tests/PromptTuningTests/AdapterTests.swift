import Foundation
import LanguageModels
import TestSupport
import Testing

@testable import PromptTuning

@Suite struct AdapterTests {
  private static let values = (0..<6).map { Float($0) * 0.25 - 1 }

  private static func adapter(_ settings: AdapterSettings? = nil) -> Adapter {
    Adapter(
      path: "x", prompt: Adapter.PromptValues(length: 3, width: 2, values: values), settings: settings,
      baseModel: "base")
  }

  /// A folder with a whole adapter of three virtual tokens of width 2.
  private static func folder(_ settings: AdapterSettings? = nil) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try adapter(settings).write(to: folder.url, facts: TinyModel.facts(width: 2))
    return folder
  }

  private static func change(_ folder: TemporaryFolder, _ file: String, _ edit: (inout [String: Any]) -> Void) throws {
    var object = try #require(
      try JSONSerialization.jsonObject(with: try Data(contentsOf: folder.file(file))) as? [String: Any])
    edit(&object)
    try JSONSerialization.data(withJSONObject: object).write(to: folder.file(file))
  }

  /// Reading the folder fails with one line that mentions these words.
  private static func expectRefused(
    _ folder: TemporaryFolder, _ words: String..., at location: SourceLocation = #_sourceLocation
  ) {
    do {
      let adapter = try Adapter(directory: folder.url)
      try adapter.check(fits: TinyModel.facts(width: 2))
      Issue.record("the adapter was accepted", sourceLocation: location)
    } catch {
      let message = "\(error)"
      for word in words { #expect(message.contains(word), "\(message)", sourceLocation: location) }
      #expect(message.hasPrefix(folder.url.path) && !message.contains("\n"), "\(message)", sourceLocation: location)
    }
  }

  @Test func roundTrip() throws {
    var method = try Method.named("prompt-tuning")
    method.promptLength = 3
    method.demonstrations = .fixed
    method.shots = 1
    let pool = [Example(input: "i", targets: ["t", "u"], source: ExampleSource(file: "f", line: 3))]
    let settings = AdapterSettings(
      method: method, truncation: [.demonstrations, .inputEnd],
      demonstrations: AdapterSettings.Demonstrations(files: ["f"], seed: .max, examples: pool))
    let folder = try Self.folder(settings)
    let read = try Adapter(directory: folder.url)
    #expect(read.prompt == Self.adapter().prompt)
    #expect(read.settings == settings)
    #expect(read.settings?.truncationOptions == [.demonstrations, .inputEnd])
    #expect(read.baseModel == "base")
    try read.check(fits: TinyModel.facts(width: 2))
    let without = try Self.folder()
    #expect(try Adapter(directory: without.url).settings == nil)
  }

  /// The configuration has the keys that PEFT reads, with its names and types.
  @Test func configurationIsPEFTs() throws {
    let folder = try Self.folder()
    let data = try Data(contentsOf: folder.file(Adapter.configurationName))
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(object["peft_type"] as? String == "PROMPT_TUNING")
    #expect(object["task_type"] as? String == "CAUSAL_LM")
    #expect(object["num_virtual_tokens"] as? Int == 3)
    #expect(object["token_dim"] as? Int == 2)
    #expect(object["num_transformer_submodules"] as? Int == 1)
    #expect(object["num_layers"] as? Int == 2 && object["num_attention_heads"] as? Int == 3)
    #expect(object["inference_mode"] as? Bool == true)
    #expect(object["modules_to_save"] is NSNull)
  }

  @Test func twoSubmodulesGiveTheFirstHalf() throws {
    let folder = try Self.folder()
    try SafetensorsWriter.write(
      [.init(name: StaticPrompt.tensorName, shape: [6, 2], floats: Self.values + [9, 9, 9, 9, 9, 9])],
      to: folder.file(Adapter.tensorsName))
    try Self.change(folder, Adapter.configurationName) { $0["num_transformer_submodules"] = 2 }
    #expect(try Adapter(directory: folder.url).prompt == Self.adapter().prompt)
  }

  @Test func configurationsThatAreRefused() throws {
    let cases: [(key: String, value: Any, words: String)] = [
      ("peft_type", "LORA", "'LORA'"), ("peft_type", NSNull(), "'peft_type' is missing"),
      ("peft_type", 3, "'peft_type' is not a string"), ("task_type", "QUESTION_ANS", "'QUESTION_ANS'"),
      ("num_virtual_tokens", NSNull(), "'num_virtual_tokens' is missing"),
      ("num_virtual_tokens", -1, "'num_virtual_tokens' is -1"),
      ("num_virtual_tokens", Int.max, "'num_virtual_tokens' is 9223372036854775807"),
      ("num_transformer_submodules", 0, "'num_transformer_submodules' is 0"),
      ("num_transformer_submodules", -2, "'num_transformer_submodules' is -2"),
      ("token_dim", -2, "'token_dim' is -2"), ("token_dim", 1.5, "'token_dim' is not a whole number"),
    ]
    for (key, value, words) in cases {
      let folder = try Self.folder()
      try Self.change(folder, Adapter.configurationName) { $0[key] = value }
      Self.expectRefused(folder, words, Adapter.configurationName)
    }
  }

  @Test func wrongShapesNameBoth() throws {
    let length = try Self.folder()
    try Self.change(length, Adapter.configurationName) { $0["num_virtual_tokens"] = 4 }
    Self.expectRefused(length, Adapter.tensorsName, "[3, 2]", "[4, 2]")
    let width = try Self.folder()
    try Self.change(width, Adapter.configurationName) { $0["token_dim"] = 5 }
    Self.expectRefused(width, Adapter.tensorsName, "[3, 2]", "[3, 5]")
    let folder = try Self.folder()
    let error = #expect(throws: MethodError.self) {
      try Adapter(directory: folder.url).check(fits: TinyModel.facts(width: 24))
    }
    let message = error.map { "\($0)" } ?? ""
    #expect(message.contains("[3, 2]") && message.contains("[3, 24]") && message.contains(Adapter.tensorsName))
    #expect(throws: MethodError.self) {
      try Adapter(directory: folder.url).check(fits: TinyModel.facts(positions: 4, width: 2))
    }
  }

  @Test func brokenFiles() throws {
    let missing = try Self.folder()
    try SafetensorsWriter.write(
      [.init(name: "other", shape: [3, 2], floats: Self.values)], to: missing.file(Adapter.tensorsName))
    Self.expectRefused(missing, Adapter.tensorsName, "'prompt_embeddings' is missing")

    let truncated = try Self.folder()
    let bytes = try Data(contentsOf: truncated.file(Adapter.tensorsName))
    try bytes.dropLast(3).write(to: truncated.file(Adapter.tensorsName))
    Self.expectRefused(truncated, Adapter.tensorsName)

    let absent = try Self.folder()
    try FileManager.default.removeItem(at: absent.file(Adapter.tensorsName))
    Self.expectRefused(absent, Adapter.tensorsName, "no such file")

    let empty = try TemporaryFolder()
    Self.expectRefused(empty, Adapter.configurationName, "no such file")

    let text = try Self.folder()
    try text.write("not json", to: Adapter.configurationName)
    Self.expectRefused(text, Adapter.configurationName, "not a JSON object")

    let integers = try Self.folder()
    try SafetensorsWriter.write(
      [.init(name: StaticPrompt.tensorName, type: .i32, shape: [3, 2]) { Data(count: 24) }],
      to: integers.file(Adapter.tensorsName))
    Self.expectRefused(integers, Adapter.tensorsName, "I32")

    let infinite = try Self.folder()
    try SafetensorsWriter.write(
      [.init(name: StaticPrompt.tensorName, shape: [3, 2], floats: [0, 1, .nan, 3, 4, 5])],
      to: infinite.file(Adapter.tensorsName))
    Self.expectRefused(infinite, Adapter.tensorsName, "not finite at element 2")
  }

  @Test func settingsThatAreRefused() throws {
    let settings = AdapterSettings(method: try Method.named("prompt-tuning"), truncation: [], demonstrations: nil)
    let name = Adapter.settingsName
    let cases: [(String, (inout [String: Any]) -> Void)] = [
      ("format 2", { $0["format"] = 2 }), ("'method' is missing", { $0["method"] = nil }),
      ("'truncation' has the wrong type", { $0["truncation"] = 3 }),
      ("'midnight'", { $0["truncation"] = ["midnight"] }),
    ]
    for (words, edit) in cases {
      let folder = try Self.folder(settings)
      try Self.change(folder, name, edit)
      Self.expectRefused(folder, name, words)
    }
    let text = try Self.folder(settings)
    try text.write("[", to: name)
    Self.expectRefused(text, name)
  }

  @Test func methodsThatMakeNoSense() throws {
    func refuse(_ name: String, _ edit: (inout Method) -> Void) throws {
      var method = try Method.named(name)
      edit(&method)
      #expect(throws: MethodError.self) { try method.validate() }
    }
    for name in Method.names { try Method.named(name).validate() }
    #expect(throws: MethodError.self) { try Method.named("prompt-tunning") }
    try refuse("prompt-tuning") { $0.promptLength = 0 }
    try refuse("prompt-tuning") { $0.prompt = .none }
    try refuse("prompt-tuning") { $0.shots = 2 }
    try refuse("icl") { $0.shots = 0 }
    try refuse("icl") { $0.trainable = .prompt }
    try refuse("fine-tuning") { $0.promptLength = 3 }
  }
}
