"use strict";

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

/** Starts `spacedsl lsp` and connects VS Code to it. */
exports.activate = async function () {
  const [command, ...args] = workspace.getConfiguration("spacedsl").get("command");
  const watcher = workspace.createFileSystemWatcher("**/*.space");
  client = new LanguageClient(
    "spacedsl",
    "spacedsl",
    { command, args },
    { documentSelector: [{ language: "space" }], synchronize: { fileEvents: watcher } },
  );
  await client.start();
};

exports.deactivate = function () {
  return client && client.stop();
};
