/** The page: `?server=ws://127.0.0.1:8000` says which server, `#token=` who votes. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { LiveVotingResults } from "./LiveVotingResults.jsx";

const server = new URLSearchParams(location.search).get("server") ?? location.origin.replace(/^http/, "ws");
const token = new URLSearchParams(location.hash.slice(1)).get("token");

createRoot(document.getElementById("root")).render(
  <StrictMode>
    <LiveVotingResults url={`${server}/voting/sync`} token={token} />
  </StrictMode>,
);
